"""The ledger: every request, paid reply and outcome of a build, in one SQLite file."""
