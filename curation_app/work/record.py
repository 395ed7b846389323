"""Scripted decisions: JSON Lines through the same store as the page's, all or none."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from curation_app.store.queues import QueueRow
from curation_app.work.decisions import Decision
from curation_app.work.desk import ReviewDesk
from schemas.errors import PolysceneError, RowError
from schemas.review import Edits, ReviewEvent

_UI_VERSION = "record/1"


class ScriptedDecision(BaseModel):
    """One line: a sample and a verdict, a skip, or edits (which accept the row as edited)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample_id: str
    verdict: Literal["accept", "reject", "skip"] | None = None
    edits: Edits | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """How a file of decisions went into the store."""

    accepted: int
    rejected: int
    edited: int
    skipped: int
    already_stored: int


def record_decisions(
    path: Path, desk: ReviewDesk, *, reviewer: str, queue_id: str | None = None
) -> Recorded:
    """Stores every decision of a file in one transaction; a second run stores nothing twice.

    Args:
        path: JSON Lines of `ScriptedDecision`.
        desk: Takes the decisions as it takes those of the page.
        reviewer: Name the events carry.
        queue_id: Queue in which they count as votes, planted defects among them; in one
            that settles disagreements they are a lead's.

    Raises:
        RowError: A line is no decision, or does not fit its row; names the
            line, and nothing of the file is stored.
        QueueError: There is no such queue.
        StoreError: The store could not be written.
    """
    queue = None if queue_id is None else desk.queues.get(queue_id)
    stored: list[ReviewEvent] = []
    num_known = 0
    with desk.store.database.transaction():
        for index, line in _lines(path):
            try:
                scripted = ScriptedDecision.model_validate(orjson.loads(line))
                decision = _decision(scripted, desk, reviewer, queue)
                num_known += desk.is_stored(decision.event_id)
                stored.append(desk.decide(reviewer, decision, queue=queue))
            except (orjson.JSONDecodeError, ValidationError, PolysceneError) as exc:
                raise RowError(
                    _problem(exc),
                    shard=path.name,
                    row_index=index,
                    remedy="Fix this line; nothing of the file was stored.",
                ) from exc
    has_edits = [event.kind == "edit" for event in stored]
    return Recorded(
        accepted=sum(
            event.verdict == "accept" and not is_edit
            for event, is_edit in zip(stored, has_edits, strict=True)
        ),
        rejected=sum(event.verdict == "reject" for event in stored),
        edited=sum(has_edits),
        skipped=sum(event.kind == "skip" for event in stored),
        already_stored=num_known,
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise RowError(
            f"cannot be read: {exc.strerror}",
            shard=str(path),
            remedy="Name a file of decisions in JSON Lines.",
        ) from exc
    yield from ((index, line) for index, line in enumerate(lines) if line.strip())


def _decision(
    scripted: ScriptedDecision, desk: ReviewDesk, reviewer: str, queue: QueueRow | None
) -> Decision:
    if (scripted.verdict is None) == (scripted.edits is None):
        raise RowError("it needs either `verdict` or `edits`")
    shown = desk.shown_sample(scripted.sample_id)
    if shown is None:
        raise RowError(f'no sample "{scripted.sample_id}" in version {desk.dataset.version}')
    is_final = queue is not None and queue.origin == "adjudication"
    kind = "skip" if scripted.verdict == "skip" else "edit" if scripted.edits else "verdict"
    return Decision.model_validate(
        {
            "event_id": _event_id(
                scripted, desk.dataset.version, shown.content_hash, reviewer, queue
            ),
            "sample_id": scripted.sample_id,
            "content_hash": shown.content_hash,
            "kind": "adjudicate" if is_final and kind != "skip" else kind,
            "verdict": {"edit": "accept", "skip": None, "verdict": scripted.verdict}[kind],
            "edits": scripted.edits,
            "reasons": scripted.reasons,
            "note": scripted.note,
            "ui_version": _UI_VERSION,
        }
    )


def _event_id(
    scripted: ScriptedDecision,
    version: str,
    content_hash: str,
    reviewer: str,
    queue: QueueRow | None,
) -> str:
    """The same decision of the same reviewer on the same content has the same id."""
    decided = [version, content_hash, reviewer, scripted.model_dump(mode="json")]
    if queue is not None:
        decided.append(queue.queue_id)
    return hashlib.sha256(orjson.dumps(decided)).hexdigest()[:32]


def _problem(exc: Exception) -> str:
    if isinstance(exc, ValidationError):
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        return f"`{field}`: {message}" if field else message
    if isinstance(exc, orjson.JSONDecodeError):
        return f"not JSON: {exc}"
    return exc.what if isinstance(exc, RowError) else str(exc).rstrip(".")
