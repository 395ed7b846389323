"""Review events: append-only facts about published rows, folded into one state per row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from schemas.columns import Before, Stored, StoredAsPairs
from schemas.errors import PolysceneError, RowError
from schemas.sample import Text

Verdict = Literal["accept", "reject"]
Facet = Literal["fidelity", "alignment", "negative", "language", "safety"]
EventKind = Literal["verdict", "edit", "skip", "undo", "flag", "adjudicate"]
#: Whether the reviewer saw machine scores and other people's verdicts before deciding.
Phase = Literal["blind", "open", ""]


class ReviewConflictError(PolysceneError):
    """Two sources of reviews hold different events under one id."""


class Edits(BaseModel):
    """New values of the edited fields; a null field is untouched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruction: Text | None = None
    query_text: Text | None = None
    positive_text: Text | None = None
    negative_texts: tuple[Text | None, ...] | None = None


#: Fields a reviewer may edit.
EDITABLE_FIELDS = tuple(Edits.model_fields)


def _with_time_zone(ts: str) -> str:
    try:
        moment = datetime.fromisoformat(ts)
    except ValueError as exc:
        raise ValueError(f"{ts[:40]!r} is not a time in ISO 8601") from exc
    if moment.tzinfo is None:
        raise ValueError(f"{ts[:40]!r} has no time zone")
    return ts


class ReviewEvent(BaseModel):
    """One act of one reviewer on one row of one version.

    `content_hash` ties the event to the row as the reviewer saw it: an event does
    not carry over to a version in which the row has other content. `seen_edit` is the id of
    the edit whose text the reviewer saw: "" for the text as published, null
    where it was not recorded. The client chooses `event_id`, so that a retry
    stores nothing twice. An `undo` names the event it takes back in `undoes`;
    an `adjudicate` is a lead's verdict, which outranks those of reviewers and
    may carry edits. `seq` counts within one store, `ts` orders across stores.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: Annotated[str, StringConstraints(min_length=8, max_length=64)]
    seq: Annotated[int, Field(ge=0, lt=2**63)] = 0
    ts: Annotated[str, AfterValidator(_with_time_zone)]
    reviewer: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    dataset_version: str
    sample_id: Annotated[str, Before("event_id")]
    content_hash: str
    kind: EventKind
    verdict: Verdict | None = None
    facets: Annotated[
        dict[Facet, Verdict], StoredAsPairs("facet", "verdict"), Before("undoes")
    ] = {}
    reasons: tuple[str, ...] = ()
    edits: Annotated[Edits | None, StoredAsPairs("field", "value")] = None
    undoes: str | None = None
    note: Annotated[str, Before("facets")] = ""
    queue_id: str = ""
    inclusion_prob: Annotated[float, Field(ge=0, le=1)] | None = None
    ms_active: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    ui_version: str = ""
    seen_edit: Annotated[str, StringConstraints(max_length=64)] | None = None
    guideline_version: Annotated[int, Field(ge=0, lt=2**31), Stored("int32")] | None = None
    phase: Phase = ""


@dataclass(slots=True)
class ReviewState:
    """What the reviewers decided about one row.

    Args:
        verdicts: Latest verdict of each reviewer, without accepts of a text that
            was edited since: their reviewers did not see the current text.
        adjudicated: A lead's verdict, which outranks the others.
        edits: Latest edit, if any; a later one replaces an earlier one.
        edited_by: Its author.
        edit_id: Its event.
        reasons: Reasons of the reject verdicts that count.
        flagged_by: Who asked for a second look, unless somebody decided since.
        event_ids: The events that led to this state, in order.
    """

    content_hash: str
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])
    adjudicated: Verdict | None = None
    edits: Edits | None = None
    edited_by: str | None = None
    edit_id: str = ""
    reasons: tuple[str, ...] = ()
    flagged_by: tuple[str, ...] = ()
    event_ids: list[str] = field(default_factory=list[str])

    @property
    def is_rejected(self) -> bool:
        """Whether rejects outnumber accepts; a tie rejects, since a doubtful row is left out."""
        if self.adjudicated is not None:
            return self.adjudicated == "reject"
        rejects = sum(verdict == "reject" for verdict in self.verdicts.values())
        return rejects > 0 and rejects * 2 >= len(self.verdicts)

    @property
    def is_accepted(self) -> bool:
        return self.adjudicated == "accept" or (bool(self.verdicts) and not self.is_rejected)

    @property
    def is_flagged(self) -> bool:
        return bool(self.flagged_by)


def in_order(events: Iterable[ReviewEvent]) -> list[ReviewEvent]:
    """Events in the order they happened, each id once: by time, then by `seq`.

    Events of several stores may be given together, though each counts `seq` from 1.
    """
    unique = {event.event_id: event for event in events}
    return sorted(unique.values(), key=_moment)


def merge_events(
    sources: Iterable[tuple[str, Iterable[ReviewEvent]]],
) -> list[ReviewEvent]:
    """Events of several stores: each once, in the order they happened, numbered anew.

    Args:
        sources: Names of the stores, for messages, and their events.

    Raises:
        ReviewConflictError: Two sources hold different events under one id.
    """
    events: dict[str, ReviewEvent] = {}
    origin: dict[str, str] = {}
    for source, found in sources:
        for event in found:
            known = events.setdefault(event.event_id, event)
            first = origin.setdefault(event.event_id, source)
            if known.model_copy(update={"seq": event.seq}) != event:
                raise ReviewConflictError(
                    f'event "{event.event_id}": {first} and {source} hold it with different '
                    "content. One of them was changed by hand; export it again."
                )
    ordered = in_order(events.values())
    return [event.model_copy(update={"seq": seq}) for seq, event in enumerate(ordered, 1)]


def _moment(event: ReviewEvent) -> tuple[datetime, int, str]:
    return datetime.fromisoformat(event.ts), event.seq, event.event_id


def fold_events(events: Iterable[ReviewEvent]) -> dict[tuple[str, str], ReviewState]:
    """State by (sample id, content hash), from events in any order.

    Undone events count for nothing; skips leave the state alone.
    """
    ordered = in_order(events)
    undone = {event.undoes for event in ordered if event.kind == "undo"}
    by_row: dict[tuple[str, str], list[ReviewEvent]] = {}
    for event in ordered:
        if event.event_id not in undone and event.kind not in {"skip", "undo"}:
            by_row.setdefault((event.sample_id, event.content_hash), []).append(event)
    return {key: _fold_row(key[1], acts) for key, acts in by_row.items()}


def _fold_row(content_hash: str, acts: list[ReviewEvent]) -> ReviewState:
    """Folds the events of one content of one row that were not undone, in order."""
    state = ReviewState(content_hash)
    latest: dict[str, ReviewEvent] = {}
    for act in acts:
        state.event_ids.append(act.event_id)
        if act.kind == "flag":
            state.flagged_by = tuple(dict.fromkeys((*state.flagged_by, act.reviewer)))
            continue
        state.flagged_by = ()
        is_final = act.kind == "adjudicate"
        if is_final:
            state.adjudicated = act.verdict
        if act.edits is not None and (is_final or state.adjudicated is None):
            state.edits, state.edited_by, state.edit_id = act.edits, act.reviewer, act.event_id
        if act.verdict is not None and not is_final:
            latest[act.reviewer] = act
    for reviewer, act in latest.items():
        if act.verdict is not None and not _is_of_an_older_text(act, state.edit_id):
            state.verdicts[reviewer] = act.verdict
            if act.verdict == "reject":
                state.reasons = tuple(dict.fromkeys(state.reasons + act.reasons))
    return state


def _is_of_an_older_text(act: ReviewEvent, edit_id: str) -> bool:
    """Whether it accepts a text that was edited since."""
    return (
        act.verdict == "accept"
        and act.seen_edit is not None
        and edit_id not in (act.event_id, act.seen_edit)
    )


def read_events(path: Path) -> Iterator[ReviewEvent]:
    """Events of a JSON Lines export, in file order.

    Raises:
        RowError: A line is not an event; names file and line.
    """
    with path.open("rb") as lines:
        for index, line in enumerate(lines):
            try:
                yield ReviewEvent.model_validate(orjson.loads(line))
            except (orjson.JSONDecodeError, ValidationError) as exc:
                raise RowError(
                    f"not a review event: {str(exc).splitlines()[0]}",
                    shard=path.name,
                    row_index=index,
                    remedy="Export the reviews again.",
                ) from exc


def write_events(path: Path, events: Iterable[ReviewEvent]) -> int:
    """Writes events as JSON Lines; returns how many."""
    num_events = 0
    with path.open("wb") as lines:
        for event in events:
            lines.write(orjson.dumps(event.model_dump(mode="json")) + b"\n")
            num_events += 1
    return num_events
