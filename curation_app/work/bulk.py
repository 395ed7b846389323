"""One verdict on many rows at once, by a lead, with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from curation_app.work.desk import ReviewDesk, utc_now
from curation_app.work.people import Person
from schemas.errors import PolysceneError
from schemas.reasons import REASON_BY_CODE
from schemas.review import ReviewEvent, Verdict

#: Written into the events: no card of theirs was shown.
UI_VERSION = "bulk/1"
MAX_ROWS = 10_000
_MAX_NOTE_CHARS = 2_000


class BulkError(PolysceneError):
    """A verdict cannot be given to all the rows."""


@dataclass(frozen=True, slots=True)
class BulkDone:
    """How many verdicts were stored, and how many rows were left alone as they carry an edit."""

    num_stored: int
    num_with_edits: int


def decide_all(
    desk: ReviewDesk,
    person: Person,
    rows: Sequence[int],
    *,
    verdict: Verdict,
    reasons: Sequence[str] = (),
    note: str = "",
    batch_id: str,
    expected: int,
) -> BulkDone:
    """Stores one verdict for each row, all or none.

    Rows that carry an edit are left alone when they would be accepted: nobody
    has looked at the edited text here.

    Args:
        rows: Row numbers, each once.
        reasons: Codes of `schemas.reasons`; a reject needs one, or a note.
        batch_id: 8 to 32 characters; a second call with it stores nothing twice.
        expected: How many rows the confirmation named.

    Raises:
        BulkError: The person is no lead, the number of rows is another than
            expected or too large, or a reject has neither reason nor note.
        StoreError: Nothing was stored.
    """
    if not person.is_lead:
        raise BulkError("only a lead may give a verdict on many samples. Nothing was stored.")
    if len(rows) != expected:
        raise BulkError(
            f"the result now has {len(rows):,} samples, not {expected:,}. Nothing was stored; "
            "search again, then confirm the new number."
        )
    if not 1 <= len(rows) <= MAX_ROWS:
        raise BulkError(
            f"{len(rows):,} samples; 1 to {MAX_ROWS:,} can be decided at once. Narrow the search."
        )
    unknown = [code for code in reasons if code not in REASON_BY_CODE]
    if unknown or len(note) > _MAX_NOTE_CHARS:
        raise BulkError("a reason is unknown, or the note is too long. Nothing was stored.")
    if verdict == "reject" and not reasons and not note.strip():
        raise BulkError("a reject needs a reason or a note. Choose one.")
    desk.progress.refresh()
    decided = [row for row in rows if verdict == "reject" or not _has_edit(desk, row)]
    hashes = desk.dataset.content_hashes(decided)
    now = utc_now().isoformat(timespec="milliseconds")
    facets = {REASON_BY_CODE[code].facet: "reject" for code in reasons}
    events = [
        ReviewEvent.model_validate(
            {
                "event_id": f"{batch_id}-{desk.dataset.sample_id(row)}",
                "ts": now,
                "reviewer": person.name,
                "dataset_version": desk.dataset.version,
                "sample_id": desk.dataset.sample_id(row),
                "content_hash": hashes[row],
                "kind": "verdict",
                "verdict": verdict,
                "facets": facets if verdict == "reject" else {},
                "reasons": tuple(reasons) if verdict == "reject" else (),
                "note": note.strip(),
                "ui_version": UI_VERSION,
            }
        )
        for row in decided
    ]
    _, num_new = desk.store.append_all(events)
    desk.progress.refresh()
    return BulkDone(num_new, len(rows) - len(decided))


def _has_edit(desk: ReviewDesk, row: int) -> bool:
    state = desk.progress.state(row)
    return state is not None and state.edits is not None
