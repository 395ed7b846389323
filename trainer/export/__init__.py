"""A trained model as a directory for sentence-transformers, its card, and its way to a Hub."""
