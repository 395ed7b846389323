"""What people do: reviews, queues, audits; no page and no server."""
