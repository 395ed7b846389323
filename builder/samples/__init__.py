"""Shows what a workspace holds, one sample at a time: a list, one in full, a page with pictures."""
