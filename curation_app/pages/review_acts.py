"""What the review page may ask: each act checks a message and answers in plain JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from curation_app.store import Seen
from curation_app.store.queues import QueueRow
from curation_app.work.cards import Item, event_summary
from curation_app.work.choices import Choice, arrange
from curation_app.work.choices import outcome_of as outcome_of_choice
from curation_app.work.claims import outcome_of as outcome_of_claims
from curation_app.work.decisions import (
    MIN_ACTIVE_MS,
    Decision,
    DecisionError,
    DecisionKind,
    EditProblems,
    EventId,
    NotYetShown,
    edits_between,
)
from curation_app.work.desk import Filters, ReviewDesk
from curation_app.work.people import Person
from schemas.errors import PolysceneError, RowError
from schemas.reasons import REASONS
from schemas.review import Edits, Facet, Verdict

ItemId = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]
ShortId = Annotated[str, Field(max_length=64)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Held(_Message):
    """A hold on an item, as the page was given it."""

    queue_id: ShortId
    item_id: ItemId
    token: ShortId


class _Place(_Message):
    """Where the page is: browsing by filters, or in a queue."""

    filters: Filters = Filters()
    queue_id: ShortId = ""


class _Open(_Place):
    sample_id: Annotated[str, Field(max_length=200)] | None = None
    step: Literal["here", "next", "previous"] = "next"
    leave: _Held | None = None


class _Act(_Place):
    """Something to be stored; `reviewer` is who the page says is reviewing."""

    event_id: EventId
    reviewer: str


class _Seen(_Message):
    own: ShortId
    edit: ShortId | None


class _Decide(_Act):
    sample_id: ItemId
    content_hash: Annotated[str, Field(max_length=64)]
    kind: DecisionKind
    verdict: Verdict | None = None
    facets: dict[Facet, Verdict] = {}
    reasons: list[str] = []
    texts: dict[str, Any] | None = None
    choice: Choice | None = None
    claims: Annotated[list[bool], Field(max_length=100)] | None = None
    note: str = ""
    ms_active: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    seen: _Seen
    lease: _Held | None = None


class _Named(_Message):
    sample_id: ItemId
    queue_id: ShortId = ""


class _Check(_Message):
    sample_id: ItemId
    texts: dict[str, Any]


class _OnHold(_Message):
    lease: _Held


class AnotherReviewer(PolysceneError):
    """The page was opened by somebody else than the browser now names."""

    reopens = True

    def __init__(self, reviewer: str) -> None:
        super().__init__(
            f"{reviewer} is reviewing in this browser now. Nothing was stored; look at it again."
        )


class ReviewActs:
    """The acts of one desk; each takes who asks and a message, and returns plain JSON.

    Raises:
        PolysceneError: The act is refused; nothing was stored.
        pydantic.ValidationError: The message is not one of this page's.
    """

    def __init__(self, desk: ReviewDesk) -> None:
        self._desk = desk

    def open_card(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """A card: the one named, or the next from there; with what the page needs once."""
        asked = _Open.model_validate(message)
        if asked.leave is not None:
            self._desk.queues.release(asked.leave.queue_id, asked.leave.item_id, person.name)
        static = {
            "overview": self._desk.overview(person),
            "reasons": [{"code": reason.code, "label": reason.label} for reason in REASONS],
            "min_active_ms": MIN_ACTIVE_MS,
            "guideline_version": self._desk.guidelines.version_in_force,
        }
        if asked.queue_id:
            return {**static, **self._open_in_queue(person, asked)}
        return {**static, **self._open_browsing(person, asked)}

    def decide(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """Stores a decision and answers with the card that comes next."""
        asked = _Decide.model_validate(message)
        _same_reviewer(asked, person)
        queue = self._desk.queue(asked.queue_id, person) if asked.queue_id else None
        item = self._desk.cards.item(asked.sample_id)
        if item is None:
            raise RowError(
                f"not in version {self._desk.dataset.version}",
                row_id=asked.sample_id,
                remedy="Open the version that has it.",
            )
        has_verdict = asked.kind in {"verdict", "edit"}
        if has_verdict and (asked.ms_active is None or asked.ms_active < MIN_ACTIVE_MS):
            raise NotYetShown(asked.ms_active)
        decision = self._decision(person, asked, item, queue)
        seen = Seen(asked.seen.own, asked.seen.edit)
        stored = self._desk.decide(person.name, decision, seen=seen, queue=queue)
        saved = {
            **event_summary(stored),
            "scores": self._desk.scores(stored),
            "is_late": self._is_late(queue, asked.sample_id),
        }
        stays = asked.kind == "flag"
        return {"saved": saved, **self._after(person, asked, queue, stays=stays)}

    def undo(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """Takes the person's last decision back and answers with its card."""
        asked = _Act.model_validate(message)
        _same_reviewer(asked, person)
        stored = self._desk.undo(person.name, asked.event_id)
        if stored is None:
            raise DecisionError("Nothing of yours is left to undo in this version.")
        saved = {"saved": event_summary(stored)}
        lease = self._desk.queues.claim_first([stored.sample_id], person, queue_id=stored.queue_id)
        if stored.queue_id:  # back to where it was made, wherever the page is now
            queue = self._desk.queue(stored.queue_id, person)
            return {**saved, **self._desk.view_queue(person, queue, stored.sample_id, lease)}
        row = self._desk.dataset.row_of(stored.sample_id)
        return {**saved, **self._desk.view(person, asked.filters, row, lease)}

    def check(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """What a release would refuse of texts that are being edited; stores nothing."""
        asked = _Check.model_validate(message)
        item = self._desk.cards.item(asked.sample_id)
        if item is None:
            return {"problems": []}
        try:
            edits = edits_between(item.sample, asked.texts)
            problems = self._desk.edit_problems(item.sample, edits)
        except EditProblems as exc:
            problems = exc.problems
        return {"problems": [{"field": each.field, "what": each.what} for each in problems]}

    def renew(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """Holds an item for longer; `is_held` is false where the hold has gone."""
        lease = _OnHold.model_validate(message).lease
        return {
            "is_held": self._desk.queues.renew(
                lease.queue_id, lease.item_id, person.name, lease.token
            )
        }

    def release(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """Gives an item back."""
        lease = _OnHold.model_validate(message).lease
        self._desk.queues.release(lease.queue_id, lease.item_id, person.name)
        return {}

    def provenance(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """How an item came about, where its card may say so by now; else null."""
        asked = _Named.model_validate(message)
        queue = self._desk.queue(asked.queue_id, person) if asked.queue_id else None
        return {"provenance": self._desk.cards.provenance(asked.sample_id, person.name, queue)}

    def guidelines(self, person: Person, message: dict[str, Any]) -> dict[str, Any]:
        """The guidelines in force; `version` is null where there are none."""
        current = self._desk.guidelines.current()
        if current is None:
            return {"version": None}
        return {
            "version": current.version,
            "ts": current.ts,
            "author": current.author,
            "text": current.text,
        }

    def _open_browsing(self, person: Person, asked: _Open) -> dict[str, Any]:
        desk = self._desk
        row = desk.dataset.row_of(asked.sample_id) if asked.sample_id else None
        is_absent = bool(asked.sample_id) and row is None
        if row is not None and asked.step == "here":
            lease = desk.queues.claim_first([desk.dataset.sample_id(row)], person)
            is_open_elsewhere = lease is None
        else:
            step = "previous" if asked.step == "previous" else "next"
            row, lease = desk.find(person, asked.filters, sample_id=asked.sample_id, step=step)
            is_open_elsewhere = False
        view = desk.view(person, asked.filters, row, lease)
        return {**view, "is_absent": is_absent, "is_open_elsewhere": is_open_elsewhere}

    def _open_in_queue(self, person: Person, asked: _Open) -> dict[str, Any]:
        desk = self._desk
        queue = desk.queue(asked.queue_id, person)
        if asked.sample_id and asked.step == "previous":
            before = self._decided_before(person, queue, asked.sample_id)
            if before is not None:
                return desk.view_queue(person, queue, before)
        after = asked.sample_id if asked.step == "next" else None
        queue, lease = desk.open_queue(person, asked.queue_id, after=after)
        return desk.view_queue(person, queue, lease.item_id if lease else None, lease)

    def _decided_before(self, person: Person, queue: QueueRow, item_id: str) -> str | None:
        """The item this person decided in a queue before another, or last of all."""
        queues = self._desk.queues
        decided = {item for item, who, _ in queues.votes(queue.queue_id) if who == person.name}
        mine = [item.item_id for item in queues.items(queue.queue_id) if item.item_id in decided]
        place = mine.index(item_id) if item_id in mine else len(mine)
        return mine[place - 1] if place > 0 else None

    def _after(
        self, person: Person, asked: _Decide, queue: QueueRow | None, *, stays: bool
    ) -> dict[str, Any]:
        """The card after a decision: the next one, or the same where it `stays`."""
        desk = self._desk
        if queue is not None:
            after = None if stays else asked.sample_id
            queue, lease = desk.open_queue(person, queue.queue_id, after=after)
            item_id = asked.sample_id if stays else lease.item_id if lease else None
            return desk.view_queue(person, queue, item_id, lease)
        if stays:
            row = desk.dataset.row_of(asked.sample_id)
            return desk.view(person, asked.filters, row)
        row, lease = desk.find(person, asked.filters, sample_id=asked.sample_id)
        return desk.view(person, asked.filters, row, lease)

    def _is_late(self, queue: QueueRow | None, item_id: str) -> bool:
        """Whether others had given an item the votes it lacked, after this person's hold ended."""
        if queue is None:
            return False
        return self._desk.queues.num_votes(queue.queue_id, item_id) > queue.overlap

    def _decision(
        self, person: Person, asked: _Decide, item: Item, queue: QueueRow | None
    ) -> Decision:
        """The decision a message asks for; answers to other questions become verdicts."""
        said: dict[str, Any] = {
            "kind": asked.kind,
            "verdict": asked.verdict,
            "facets": asked.facets,
            "reasons": tuple(asked.reasons),
            "note": asked.note,
            "edits": self._edits(asked, item) if asked.kind == "edit" else None,
        }
        if asked.kind == "verdict" and queue is not None and queue.mode == "forced_choice":
            said |= self._answer_to_choice(person, asked, item, queue)
        if asked.kind == "verdict" and queue is not None and queue.mode == "claims":
            said |= self._answer_to_claims(asked, item)
        if queue is not None and queue.origin == "adjudication" and asked.verdict is not None:
            said["kind"] = "adjudicate"
        return Decision(
            event_id=asked.event_id,
            sample_id=asked.sample_id,
            content_hash=asked.content_hash,
            ms_active=asked.ms_active,
            **said,
        )

    def _edits(self, asked: _Decide, item: Item) -> Edits:
        edits = edits_between(item.sample, asked.texts or {})
        state = None if item.row is None else self._desk.progress.state(item.row)
        if edits == Edits() and (state is None or state.edits is None):
            raise DecisionError("Nothing was changed. Press A to accept it as it is.")
        problems = self._desk.edit_problems(item.sample, edits)
        if problems:
            raise EditProblems(problems)
        return edits

    def _answer_to_choice(
        self, person: Person, asked: _Decide, item: Item, queue: QueueRow
    ) -> dict[str, Any]:
        if asked.choice is None:
            raise DecisionError(f'queue "{queue.title}" asks which candidate matches. Choose one.')
        num_negatives = len(item.sample.negative_texts)
        arrangement = arrange(queue.queue_id, item.item_id, person.name, num_negatives)
        outcome = outcome_of_choice(asked.choice, arrangement)
        return {
            "verdict": outcome.verdict,
            "facets": outcome.facets,
            "reasons": outcome.reasons,
            "note": outcome.note,
        }

    def _answer_to_claims(self, asked: _Decide, item: Item) -> dict[str, Any]:
        num_claims = self._desk.cards.num_claims(item)
        if asked.claims is None and num_claims == 0:
            return {}  # no provenance, so the plain card was shown
        if asked.claims is None or len(asked.claims) != num_claims:
            raise DecisionError(f"The card asks about {num_claims} claims. Answer each of them.")
        outcome = outcome_of_claims(asked.claims)
        return {
            "verdict": outcome.verdict,
            "facets": outcome.facets,
            "reasons": outcome.reasons,
            "note": outcome.note,
        }


def _same_reviewer(asked: _Act, person: Person) -> None:
    if asked.reviewer != person.name:
        raise AnotherReviewer(person.name)
