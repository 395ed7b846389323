"""The command line, one module a command; each registers itself on the app."""
