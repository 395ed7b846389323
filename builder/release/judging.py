"""What the reviewers' events do to a row: keep, edit or drop it."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import ValidationError

from builder.checks_config import ChecksConfig
from builder.images.renaming import FormerNames, contents_of, none_renamed
from schemas.manifest import ReviewInputs
from schemas.review import ReviewEvent, ReviewState, fold_events, in_order
from schemas.sample import Sample
from schemas.text_rules.edited import check_edited


@dataclass(slots=True)
class Judgement:
    """A row after review: its JSON, or why it is dropped."""

    sample: bytes | None
    reason: str | None = None
    is_edited: bool = False


@dataclass(slots=True)
class Reviews:
    """Review events, folded by row and content, with counts of what they did.

    An event counts for the content its reviewer saw. When an edit changed a
    row and a later version was reviewed again, the later events are found
    under the edited content; so a row's history is followed edit by edit. The
    edited row is checked like a teacher's. If a check fails, the row is
    dropped rather than restored: its reviewer saw that it was wrong before.

    Args:
        events: Review events in any order.
        checks: Limits of the checks on edited rows.
        min_reviews_to_reject: A row is rejected only if this many reviewers judged it, or a lead.
        drops_flagged: Whether a row that waits for a second look is left out.
        former_names: Gives the names that images had in earlier versions, under which rows
            were reviewed too.
        refused_edits: Why edits were refused, by id of the row.
        disputed_edits: Ids of rows whose edit an identifier takes for another language.
    """

    events: list[ReviewEvent]
    checks: ChecksConfig
    min_reviews_to_reject: int = 1
    drops_flagged: bool = True
    states: dict[tuple[str, str], ReviewState] = field(init=False)
    num_applied: int = 0
    num_merged: int = 0
    num_accepted: int = 0
    num_rejected: int = 0
    num_edited: int = 0
    num_flagged: int = 0
    former_names: FormerNames = none_renamed
    refused_edits: dict[str, str] = field(default_factory=dict[str, str])
    disputed_edits: list[str] = field(default_factory=list[str])
    _ids: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.events = in_order(self.events)
        self.states = fold_events(self.events)
        self._ids = {sample_id for sample_id, _ in self.states}

    @property
    def num_stale(self) -> int:
        """Reviewed contents that match no row of this release."""
        return len(self.states) - self.num_applied - self.num_merged

    @property
    def num_by_kind(self) -> dict[str, int]:
        """Events by what the reviewer did, the commonest first; they add up to all of them."""
        return dict(Counter(sorted(event.kind for event in self.events)).most_common())

    def has_events(self, sample_id: str) -> bool:
        return sample_id in self._ids

    def judge(self, sample: bytes) -> Judgement:
        """Applies a row's events, following its edits."""
        row: dict[str, Any] = orjson.loads(sample)
        is_edited, accepted = False, False
        seen: set[str] = set()
        while (contents := contents_of(row, self.former_names))[0] not in seen:
            seen.add(contents[0])
            state = self._state(row["id"], contents)
            if state is None:
                break
            self.num_applied += 1
            is_decided = state.adjudicated or len(state.verdicts) >= self.min_reviews_to_reject
            if state.is_rejected and is_decided:
                self.num_rejected += 1
                return Judgement(None, "rejected_in_review")
            if state.is_flagged and self.drops_flagged:
                self.num_flagged += 1
                return Judgement(None, "flagged_in_review")
            accepted = accepted or state.is_accepted
            if state.edits is None:
                break
            row |= state.edits.model_dump(mode="json", exclude_none=True)
            is_edited = True
        judgement = self._edited(row) if is_edited else Judgement(sample)
        self.num_accepted += accepted and judgement.sample is not None
        return judgement

    def _state(self, sample_id: str, contents: list[str]) -> ReviewState | None:
        """What was decided about a row that was reviewed under one or more contents."""
        found = [content for content in contents if (sample_id, content) in self.states]
        self.num_merged += max(0, len(found) - 1)
        if len(found) < 2:
            return self.states[sample_id, found[0]] if found else None
        events = (event for event in self.events if event.sample_id == sample_id)
        update = {"content_hash": contents[0]}
        same = [e.model_copy(update=update) for e in events if e.content_hash in found]
        return fold_events(same)[sample_id, contents[0]]

    def _edited(self, row: dict[str, Any]) -> Judgement:
        try:
            sample = Sample.model_validate(row)
        except ValidationError:
            return self._refused(row["id"], "edit_breaks_the_row")
        report = check_edited(sample, self.checks)
        if report.reason:
            return self._refused(row["id"], report.reason)
        if report.is_disputed:
            self.disputed_edits.append(sample.id)
        self.num_edited += 1
        edited = orjson.dumps(sample.model_dump(mode="json"))
        return Judgement(edited, is_edited=True)

    def _refused(self, sample_id: str, reason: str) -> Judgement:
        self.refused_edits[sample_id] = reason
        return Judgement(None, reason)

    def inputs(self) -> ReviewInputs:
        """What the manifest says about the events."""
        return ReviewInputs(
            num_events=len(self.events),
            num_by_kind=self.num_by_kind,
            last_seq=max((event.seq for event in self.events), default=0),
            events_hash=_events_hash(self.events),
            num_accepted=self.num_accepted,
            num_rejected=self.num_rejected,
            num_edited=self.num_edited,
        )


def _events_hash(events: Iterable[ReviewEvent]) -> str:
    digest = hashlib.sha256()
    for event in events:
        digest.update(orjson.dumps(event.model_dump(mode="json")) + b"\n")
    return digest.hexdigest()
