"""One OpenAI-compatible endpoint: what it can do, how fast it may be asked, whether it works."""
