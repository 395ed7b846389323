"""Cards: what a page shows of one item, as plain JSON, and nothing of what it must not know yet."""

from dataclasses import dataclass
from typing import Any

from curation_app.data.provenance import Provenance
from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from curation_app.store.queues import QueueRow
from curation_app.work.adjudication import who_said_what
from curation_app.work.choices import Arrangement, arrange
from curation_app.work.claims import claims_of
from curation_app.work.progress import ReviewProgress
from curation_app.work.seeds import Seeds
from schemas.errors import PolysceneError, RowError
from schemas.review import EDITABLE_FIELDS, ReviewEvent
from schemas.sample import SCORES, Sample
from schemas.vocabulary import LANGUAGES


@dataclass(frozen=True, slots=True)
class Item:
    """What an item id stands for: a row, or a planted defect, which has no row of its own."""

    item_id: str
    sample: Sample
    content_hash: str
    split: str
    row: int | None

    @property
    def is_seed(self) -> bool:
        return self.row is None


class Cards:
    """The cards of one version.

    Machine scores are in a card, and provenance can be asked for, only once
    its reader's own verdict stands, or where a queue is open; in a blind queue
    the same goes for other people's edits. A planted defect's card has the same
    keys and shapes as any other of its queue; in an audit no provenance is
    told, since it would tell a planted defect from the row it was made from.
    """

    def __init__(
        self,
        dataset: VersionDataset,
        store: ReviewStore,
        progress: ReviewProgress,
        provenance: Provenance,
        seeds: Seeds,
    ) -> None:
        self._dataset = dataset
        self._store = store
        self._progress = progress
        self._seeds = seeds
        self._provenance = provenance

    def item(self, item_id: str) -> Item | None:
        """The row or seed of an item; None where there is neither.

        Raises:
            RowError: The row breaks the contract.
        """
        row = self._dataset.row_of(item_id)
        if row is not None:
            loaded = self._dataset.load(row)
            return Item(item_id, loaded.sample, loaded.content_hash, loaded.split, row)
        sample = self._seeds.sample(item_id)
        return None if sample is None else Item(item_id, sample, sample.content_hash, "", None)

    def card(self, item_id: str, reviewer: str, queue: QueueRow | None = None) -> dict[str, Any]:
        """An item's card; with `problem`, and nothing else, where it cannot be shown."""
        try:
            item = self.item(item_id)
        except PolysceneError as exc:
            return {"id": item_id, "problem": str(exc)}
        if item is None:
            return {"id": item_id, "problem": "This sample is not in the version under review."}
        own = self.own(item, reviewer)
        own_here = own if queue is None else self.own(item, reviewer, queue_id=queue.queue_id)
        is_open = is_revealed(queue, own_here)
        is_choice = queue is not None and queue.mode == "forced_choice"
        # Two candidates are shown as published, since an edit would tell them apart.
        hides_others = is_choice or (queue is not None and queue.is_blind and not is_open)
        edited = None if hides_others else self._edited(item)
        return {
            "problem": None,
            **_facts(item, is_in_queue=queue is not None),
            "sides": choice_sides(item.sample, _arrangement(item, reviewer, queue))
            if is_choice
            else sides(item.sample),
            "edited": edited,
            "own": None if own_here is None else event_summary(own_here),
            "seen": {
                "own": "" if own is None else own.event_id,
                "edit": None if hides_others else (edited["event_id"] if edited else ""),
            },
            "scores": scores(item.sample) if is_open else None,
            "has_provenance": self._tells_provenance(queue, is_open=is_open),
            "claims": _claims(self._record(item)) if _asks_claims(queue) else None,
            "votes": who_said_what(self._store, item_id, item.content_hash)
            if queue is not None and queue.origin == "adjudication"
            else None,
        }

    def provenance(
        self, item_id: str, reviewer: str, queue: QueueRow | None = None
    ) -> dict[str, Any] | None:
        """How an item came about; None where its card may not say so, or nothing is known."""
        item = self.item(item_id)
        if item is None:
            return None
        own = self.own(item, reviewer, queue_id=None if queue is None else queue.queue_id)
        is_open = is_revealed(queue, own)
        return self._record(item) if self._tells_provenance(queue, is_open=is_open) else None

    def own(self, item: Item, reviewer: str, *, queue_id: str | None = None) -> ReviewEvent | None:
        """The reviewer's standing decision on an item as it is now."""
        if item.is_seed:
            return self._seeds.standing(item.item_id, reviewer)
        own = self._store.standing(item.item_id, reviewer, queue_id=queue_id)
        return own if own is not None and own.content_hash == item.content_hash else None

    def num_claims(self, item: Item) -> int:
        """How many claims an item's card asks about."""
        return len(claims_of(self._record(item)))

    def image_addresses(self, item_id: str, reviewer: str, queue: QueueRow | None) -> list[str]:
        """Addresses of an item's images, for the browser to fetch ahead."""
        try:
            item = self.item(item_id)
        except RowError:
            return []
        if item is None:
            return []
        is_choice = queue is not None and queue.mode == "forced_choice"
        shown = (
            choice_sides(item.sample, _arrangement(item, reviewer, queue))
            if is_choice
            else sides(item.sample)
        )
        return [side["image"] for side in shown if side["image"]]

    def _tells_provenance(self, queue: QueueRow | None, *, is_open: bool) -> bool:
        return is_open and not _is_audit(queue) and self._provenance.is_available

    def _record(self, item: Item) -> dict[str, Any] | None:
        source = self._seeds.origin(item.item_id) if item.is_seed else item.item_id
        return None if source is None else self._provenance.of(source)

    def _edited(self, item: Item) -> dict[str, Any] | None:
        state = None if item.row is None else self._progress.state(item.row)
        if state is None or state.edits is None:
            return None
        edits = state.edits.model_dump(exclude_none=True)
        texts = {field: edits.get(field, getattr(item.sample, field)) for field in EDITABLE_FIELDS}
        return {
            "by": state.edited_by,
            "event_id": state.edit_id,
            "fields": sorted(edits),
            "texts": texts,
        }


def is_revealed(queue: QueueRow | None, own: ReviewEvent | None) -> bool:
    """Whether a card may show scores and provenance: after the verdict, or in an open queue."""
    if queue is not None and not queue.is_blind:
        return queue.mode != "forced_choice" or (own is not None and own.verdict is not None)
    return own is not None and own.verdict is not None


def event_summary(event: ReviewEvent) -> dict[str, Any]:
    """What a page shows of a stored event."""
    return {
        "event_id": event.event_id,
        "ts": event.ts,
        "kind": event.kind,
        "verdict": event.verdict,
        "facets": dict(event.facets),
        "reasons": list(event.reasons),
        "note": event.note,
        "sample_id": event.sample_id,
    }


def scores(sample: Sample) -> dict[str, Any]:
    """The machine scores of a sample; null where no scorer ran."""
    return {name: getattr(sample, name) for name in (*SCORES, "alignment")}


def sides(sample: Sample) -> list[dict[str, Any]]:
    """Query, positive and hard negatives in reading order."""
    return [
        _side(sample, "query", "query", sample.query_text, sample.query_image),
        _side(sample, "positive", "positive", sample.positive_text, sample.positive_image),
        *(
            _side(sample, "negative", f"negative-{index}", text, sha256)
            for index, (text, sha256) in enumerate(
                zip(sample.negative_texts, sample.negative_images, strict=True)
            )
        ),
    ]


def choice_sides(sample: Sample, arrangement: Arrangement) -> list[dict[str, Any]]:
    """Query and two candidates; neither their order nor their addresses tell which is which."""
    index = arrangement.negative_index
    positive = (sample.positive_text, sample.positive_image)
    negative = (sample.negative_texts[index], sample.negative_images[index])
    left, right = (positive, negative) if arrangement.is_positive_left else (negative, positive)
    return [
        _side(sample, "query", "any", sample.query_text, sample.query_image),
        _side(sample, "left", "any", *left),
        _side(sample, "right", "any", *right),
    ]


def _side(
    sample: Sample, role: str, place: str, text: str | None, sha256: str | None
) -> dict[str, Any]:
    image = full = None
    if sha256 is not None:
        # The name carries the image's hash, so what is behind an address never changes.
        stem = f"thumbnails/{sample.id}/{place}/{sha256[:16]}"
        image, full = f"{stem}.webp", f"{stem}.full.webp"
    return {"role": role, "place": place, "text": text, "image": image, "full": full}


def _facts(item: Item, *, is_in_queue: bool) -> dict[str, Any]:
    """What a card says of its row; in a queue nothing that a planted defect lacks."""
    sample = item.sample
    language = LANGUAGES[sample.language]
    return {
        "id": item.item_id,
        "content_hash": item.content_hash,
        "split": None if is_in_queue else item.split,
        "row": None if is_in_queue else item.row,
        "language": sample.language,
        "language_name": language.name,
        "is_rtl": language.is_rtl,
        "task_type": sample.task_type,
        "modality": sample.modality,
        "instruction": sample.instruction,
    }


def _is_audit(queue: QueueRow | None) -> bool:
    return queue is not None and queue.origin == "audit"


def _asks_claims(queue: QueueRow | None) -> bool:
    return queue is not None and queue.mode == "claims"


def _claims(record: dict[str, Any] | None) -> list[dict[str, str]]:
    return [{"image": claim.image, "text": claim.text} for claim in claims_of(record)]


def _arrangement(item: Item, reviewer: str, queue: QueueRow | None) -> Arrangement:
    queue_id = "" if queue is None else queue.queue_id
    return arrange(queue_id, item.item_id, reviewer, len(item.sample.negative_texts))
