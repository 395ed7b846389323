"""Review events: append-only facts about published rows, folded into one state a row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from schemas.errors import RowError
from schemas.sample import Text

Verdict = Literal["accept", "reject"]
Facet = Literal["fidelity", "alignment", "negative", "language", "safety"]
EventKind = Literal["verdict", "edit", "skip", "undo", "flag"]

#: Fields a reviewer may edit.
EDITABLE_FIELDS = ("instruction", "query_text", "positive_text", "negative_texts")


class Edits(BaseModel):
    """New values of the edited fields; a null field is untouched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruction: Text | None = None
    query_text: Text | None = None
    positive_text: Text | None = None
    negative_texts: tuple[Text | None, ...] | None = None


class ReviewEvent(BaseModel):
    """One act of one reviewer on one row of one version.

    `content_hash` pins the event to the row as the reviewer saw it; an event
    on other content carries over to no other version. `event_id` is made by
    the client, so that a retry stores nothing twice. An `undo` names the event
    it takes back in `undoes`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: Annotated[str, StringConstraints(min_length=8, max_length=64)]
    seq: Annotated[int, Field(ge=0, lt=2**63)] = 0
    ts: str
    reviewer: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    dataset_version: str
    sample_id: str
    content_hash: str
    kind: EventKind
    verdict: Verdict | None = None
    facets: dict[Facet, Verdict] = {}
    reasons: tuple[str, ...] = ()
    edits: Edits | None = None
    undoes: str | None = None
    note: str = ""
    queue_id: str = ""
    inclusion_prob: Annotated[float, Field(ge=0, le=1)] | None = None
    ms_active: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    ui_version: str = ""


@dataclass(slots=True)
class ReviewState:
    """What the reviewers hold of one row.

    Args:
        verdicts: Latest verdict of each reviewer.
        edits: Latest edit, if any; a later one replaces an earlier one.
        edited_by: Its author.
        reasons: Reasons of the reject verdicts.
        event_ids: The events this state rests on, in order.
    """

    content_hash: str
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])
    edits: Edits | None = None
    edited_by: str | None = None
    reasons: tuple[str, ...] = ()
    event_ids: list[str] = field(default_factory=list[str])

    @property
    def is_rejected(self) -> bool:
        """Whether rejects outnumber accepts; a tie rejects, since doubt keeps a row out."""
        rejects = sum(verdict == "reject" for verdict in self.verdicts.values())
        return rejects > 0 and rejects * 2 >= len(self.verdicts)

    @property
    def is_accepted(self) -> bool:
        return bool(self.verdicts) and not self.is_rejected


def fold_events(events: Iterable[ReviewEvent]) -> dict[tuple[str, str], ReviewState]:
    """State by (sample id, content hash), from events in order of `seq`.

    Undone events count for nothing; skips and flags leave the state alone.
    """
    ordered = sorted(events, key=lambda event: (event.seq, event.event_id))
    undone = {event.undoes for event in ordered if event.kind == "undo"}
    states: dict[tuple[str, str], ReviewState] = {}
    for event in ordered:
        if event.event_id in undone or event.kind in {"skip", "flag", "undo"}:
            continue
        key = (event.sample_id, event.content_hash)
        state = states.setdefault(key, ReviewState(event.content_hash))
        state.event_ids.append(event.event_id)
        if event.kind == "edit" and event.edits is not None:
            state.edits, state.edited_by = event.edits, event.reviewer
        if event.verdict is not None:
            state.verdicts[event.reviewer] = event.verdict
            if event.verdict == "reject":
                state.reasons = tuple(dict.fromkeys(state.reasons + event.reasons))
    return states


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
