"""Makes dataset versions: plans, generates, checks, balances, releases and publishes."""
