"""Statistics of audits: pure functions of numbers, no store, no dataset, no page."""
