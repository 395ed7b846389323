"""Finds samples whose images or texts are in an evaluation set, and drops them."""
