"""Audits as stored: the design, the queue it became, and the report at the end."""

from dataclasses import dataclass

import orjson

from curation_app.store.database import Database
from schemas.review import ReviewEvent

_COLUMNS = "a.audit_id, a.queue_id, a.design, a.created_by, a.created_ts, a.closed_ts, a.report"

_VOTES = """
SELECT e.body FROM queue_vote AS v JOIN event AS e ON e.event_id = v.event_id
WHERE v.queue_id = ? AND v.counts ORDER BY e.seq
"""
_ADJUDICATIONS = """
SELECT e.body FROM event AS e
WHERE e.kind = 'adjudicate'
  AND e.sample_id IN (SELECT item_id FROM queue_item WHERE queue_id = ?)
  AND NOT EXISTS (SELECT 1 FROM event AS u WHERE u.undoes = e.event_id)
ORDER BY e.seq
"""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An audit as stored; `design` and `report` are JSON."""

    audit_id: str
    queue_id: str
    design: str
    created_by: str
    created_ts: str
    closed_ts: str | None = None
    report: str | None = None


class AuditStore:
    """The table of audits, and the votes of their queues as events."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, audit: AuditRow) -> None:
        self.database.execute(
            "INSERT INTO audit (audit_id, queue_id, design, created_by, created_ts) "
            "VALUES (?,?,?,?,?)",
            (audit.audit_id, audit.queue_id, audit.design, audit.created_by, audit.created_ts),
        )

    def all(self, dataset_version: str) -> list[AuditRow]:
        """Audits of a version, oldest first."""
        return [
            AuditRow(*row)
            for row in self.database.rows(
                f"SELECT {_COLUMNS} FROM audit AS a JOIN queue AS q ON q.queue_id = a.queue_id "
                "WHERE q.dataset_version = ? ORDER BY a.created_ts, a.audit_id",
                (dataset_version,),
            )
        ]

    def get(self, audit_id: str) -> AuditRow | None:
        rows = self.database.rows(
            f"SELECT {_COLUMNS} FROM audit AS a WHERE a.audit_id = ?", (audit_id,)
        )
        return AuditRow(*rows[0]) if rows else None

    def close(self, audit_id: str, ts: str, report: str) -> bool:
        """Keeps the report; False where another had closed it before."""
        return bool(
            self.database.execute(
                "UPDATE audit SET closed_ts = ?, report = ? "
                "WHERE audit_id = ? AND closed_ts IS NULL",
                (ts, report, audit_id),
            )
        )

    def votes(self, queue_id: str) -> list[ReviewEvent]:
        """Standing votes of a queue; those on planted defects are no events and not among them."""
        return _events(self.database.rows(_VOTES, (queue_id,)))

    def adjudications(self, queue_id: str) -> list[ReviewEvent]:
        """Standing verdicts of leads on items of a queue, in order of `seq`."""
        return _events(self.database.rows(_ADJUDICATIONS, (queue_id,)))


def _events(rows: list[tuple]) -> list[ReviewEvent]:
    return [ReviewEvent.model_validate(orjson.loads(body)) for (body,) in rows]
