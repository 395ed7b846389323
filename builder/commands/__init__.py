"""The command line, one module per command; each registers itself on the app."""
