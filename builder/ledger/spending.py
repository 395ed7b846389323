"""What a workspace has spent: counted tokens, estimates, and what may have been billed unseen."""

import sqlite3

from builder.ledger.tables import Spent

#: Of a row of `usage`: the endpoint counted no tokens, so its cost was estimated.
_ESTIMATED = "WHERE prompt_tokens = 0 AND completion_tokens = 0 AND cost_usd > 0"
#: Of a row of `request`: it was sent live and nothing is known of its end, so a run was killed
#: meanwhile. Those in batches come back with their batch.
_CUT_OFF = (
    "(state = 'in_flight' AND batch IS NULL "
    "AND NOT EXISTS (SELECT 1 FROM reply WHERE request_id = request.id))"
)
#: The most one sending can have cost; ledgers of earlier versions do not say, so that it counts as
#: the dearest reply.
_MOST_USD = "coalesce(most_usd, (SELECT max(cost_usd) FROM usage), 0.0)"


def read_spent(db: sqlite3.Connection) -> Spent:
    """Requests, tokens and dollars so far; to be read while nothing is in flight."""
    num_sent, *unseen = db.execute(
        "SELECT coalesce(sum(num_sent), 0), "
        f"coalesce(sum(num_killed + {_CUT_OFF}), 0), "
        f"coalesce(sum((num_killed + {_CUT_OFF}) * {_MOST_USD}), 0.0), "
        "coalesce(sum(num_unanswered), 0), "
        f"coalesce(sum(num_unanswered * {_MOST_USD}), 0.0) FROM request"
    ).fetchone()
    row = db.execute(
        "SELECT (SELECT count(*) FROM reply), coalesce(sum(prompt_tokens), 0), "
        "coalesce(sum(completion_tokens), 0), coalesce(sum(cost_usd), 0.0), "
        f"count(*) FILTER ({_ESTIMATED}), "
        f"coalesce(sum(cost_usd) FILTER ({_ESTIMATED}), 0.0), "
        "count(*) FILTER (WHERE cost_usd IS NULL) FROM usage"
    ).fetchone()
    return Spent(num_sent, *row, *unseen)


def price_replies(
    db: sqlite3.Connection, model: str, input_usd_per_mtok: float, output_usd_per_mtok: float
) -> None:
    """Prices a model's replies whose price was not known when they came."""
    db.execute(
        "UPDATE usage SET cost_usd = (prompt_tokens * ? + completion_tokens * ?) / 1e6 "
        "WHERE cost_usd IS NULL AND prompt_tokens + completion_tokens > 0 "
        "AND request_id IN (SELECT id FROM request WHERE model = ?)",
        (input_usd_per_mtok, output_usd_per_mtok, model),
    )


def uncounted_replies(db: sqlite3.Connection) -> list[tuple[str, float]]:
    """(key, most dollars) of paid replies that were stored but not counted before a kill."""
    rows = db.execute(
        f"SELECT key, {_MOST_USD} FROM reply JOIN request ON request.id = reply.request_id "
        "WHERE status = 200 AND NOT EXISTS "
        "(SELECT 1 FROM usage WHERE usage.request_id = reply.request_id)"
    )
    return rows.fetchall()
