"""A published version as the app reads it."""
