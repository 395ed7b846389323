"""Scripted decisions: JSON Lines through the same store as the page's, all or none."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from curation_app.dataset import VersionDataset
from curation_app.decisions import Decision, review_event
from curation_app.desk import utc_now
from curation_app.store import ReviewStore
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
    path: Path, dataset: VersionDataset, store: ReviewStore, *, reviewer: str
) -> Recorded:
    """Stores every decision of a file in one transaction; a second run stores nothing twice.

    Raises:
        RowError: A line is no decision, or does not fit its row; names the
            line, and nothing of the file is stored.
        StoreError: The store could not be written.
    """
    events = list(_events(path, dataset, reviewer))
    stored, num_new = store.append_all(events)
    return Recorded(
        accepted=sum(event.kind == "verdict" and event.verdict == "accept" for event in stored),
        rejected=sum(event.verdict == "reject" for event in stored),
        edited=sum(event.kind == "edit" for event in stored),
        skipped=sum(event.kind == "skip" for event in stored),
        already_stored=len(stored) - num_new,
    )


def _events(path: Path, dataset: VersionDataset, reviewer: str) -> Iterator[ReviewEvent]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise RowError(
            f"cannot be read: {exc.strerror}",
            shard=str(path),
            remedy="Name a file of decisions in JSON Lines.",
        ) from exc
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            scripted = ScriptedDecision.model_validate(orjson.loads(line))
            yield _event(scripted, dataset, reviewer)
        except (orjson.JSONDecodeError, ValidationError, PolysceneError) as exc:
            raise RowError(
                _problem(exc),
                shard=path.name,
                row_index=index,
                remedy="Mend this line; nothing of the file was stored.",
            ) from exc


def _event(scripted: ScriptedDecision, dataset: VersionDataset, reviewer: str) -> ReviewEvent:
    row = dataset.row_of(scripted.sample_id)
    if row is None:
        raise RowError(f'no sample "{scripted.sample_id}" in version {dataset.version}')
    if (scripted.verdict is None) == (scripted.edits is None):
        raise RowError("it needs either `verdict` or `edits`")
    loaded = dataset.load(row)
    kind = "edit" if scripted.edits else "skip" if scripted.verdict == "skip" else "verdict"
    verdict = {"edit": "accept", "skip": None, "verdict": scripted.verdict}[kind]
    decision = Decision.model_validate(
        {
            "event_id": _event_id(scripted, dataset.version, loaded.content_hash, reviewer),
            "sample_id": scripted.sample_id,
            "content_hash": loaded.content_hash,
            "kind": kind,
            "verdict": verdict,
            "edits": scripted.edits,
            "reasons": scripted.reasons,
            "note": scripted.note,
            "ui_version": _UI_VERSION,
        }
    )
    return review_event(decision, loaded, reviewer=reviewer, version=dataset.version, now=utc_now())


def _event_id(scripted: ScriptedDecision, version: str, content_hash: str, reviewer: str) -> str:
    """The same decision of the same reviewer on the same content has the same id."""
    decided = [version, content_hash, reviewer, scripted.model_dump(mode="json")]
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
