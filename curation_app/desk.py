"""The reviewer's desk: which row lies open, what its card says, what becomes of a decision."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from curation_app.dataset import Row, VersionDataset
from curation_app.decisions import UI_VERSION, Decision, review_event
from curation_app.progress import Counts, Progress, Status
from curation_app.store import ReviewStore
from schemas.errors import RowError
from schemas.review import EDITABLE_FIELDS, ReviewEvent
from schemas.sample import Sample
from schemas.vocabulary import LANGUAGES

Step = Literal["next", "previous"]


class Filters(BaseModel):
    """Which rows a reviewer goes through; null is any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str | None = None
    task_type: str | None = None
    modality: str | None = None
    status: Status = "unreviewed"


def utc_now() -> datetime:
    return datetime.now(UTC)


class ReviewDesk:
    """One version, one store, any number of reviewers; what it returns is plain JSON.

    Nothing of a row's machine scores is in a card before its reader's own
    verdict stands, so that the verdict is blind.
    """

    def __init__(
        self,
        dataset: VersionDataset,
        store: ReviewStore,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.dataset = dataset
        self.store = store
        self.progress = Progress(dataset, store)
        self._clock = clock

    def overview(self) -> dict[str, Any]:
        """What a page needs once: the version's name and the values to filter by."""
        languages = self.dataset.counts("language")
        return {
            "name": self.dataset.manifest.name,
            "version": self.dataset.version,
            "languages": [
                {"value": code, "label": LANGUAGES[code].name, "count": count}
                for code, count in sorted(
                    languages.items(), key=lambda entry: LANGUAGES[entry[0]].name
                )
            ],
            "task_types": _options(self.dataset.counts("task_type")),
            "modalities": _options(self.dataset.counts("modality")),
        }

    def find(
        self,
        reviewer: str,
        filters: Filters,
        *,
        sample_id: str | None = None,
        step: Step = "next",
    ) -> int | None:
        """The row to show: from a sample a step on among the matching rows, round the end."""
        matching = np.flatnonzero(self._matching(reviewer, filters))
        if not len(matching):
            return None
        row = None if sample_id is None else self.dataset.row_of(sample_id)
        if row is None:
            return int(matching[0])
        if step == "next":
            place = int(np.searchsorted(matching, row, side="right"))
        else:
            place = int(np.searchsorted(matching, row, side="left")) - 1
        return int(matching[place % len(matching)])

    def view(self, reviewer: str, filters: Filters, row: int | None) -> dict[str, Any]:
        """What the page shows: the card at a row, the counts, and what comes next."""
        self.progress.refresh()
        rows = self._rows(filters)
        left = np.flatnonzero(rows & self.progress.matching(filters.status, reviewer))
        skipped = rows & self.progress.matching("skipped", reviewer)
        following = left[left > row][:2].tolist() if row is not None else []
        return {
            "card": None if row is None else self._card(row, reviewer),
            "reviewer": reviewer,
            "counts": _plain(self.progress.counts()),
            "num_matching": len(left),
            "num_in_filter": int(np.count_nonzero(rows)),
            "num_skipped": int(np.count_nonzero(skipped)),
            "upcoming": [url for next_row in following for url in self._image_urls(next_row)],
        }

    def decide(self, reviewer: str, decision: Decision, *, seen: str | None = None) -> ReviewEvent:
        """Stores a decision; when this returns, it is on disk.

        Raises:
            DecisionError: It does not fit the row.
            AlreadyDecided: `seen` is not the reviewer's standing decision.
            StoreError: It could not be stored.
        """
        row = self.dataset.row_of(decision.sample_id)
        if row is None:
            raise RowError(
                f"not in version {self.dataset.version}",
                row_id=decision.sample_id,
                remedy="Open the version that has it.",
            )
        event = review_event(
            decision,
            self.dataset.load(row),
            reviewer=reviewer,
            version=self.dataset.version,
            now=self._clock(),
        )
        stored = self.store.append(event, seen=seen)
        self.progress.refresh()
        return stored

    def undo(self, reviewer: str, event_id: str) -> ReviewEvent | None:
        """Takes the reviewer's last decision on this version back; None where there is none."""
        undo = ReviewEvent(
            event_id=event_id,
            ts=self._clock().isoformat(timespec="milliseconds"),
            reviewer=reviewer,
            dataset_version=self.dataset.version,
            sample_id="",
            content_hash="",
            kind="undo",
            ui_version=UI_VERSION,
        )
        stored = self.store.undo_last(undo)
        self.progress.refresh()
        return stored

    def scores(self, event: ReviewEvent) -> dict[str, Any] | None:
        """Machine scores of the row an event gave a verdict on; None where it gave none."""
        row = self.dataset.row_of(event.sample_id)
        return None if row is None or not event.verdict else _scores(self.dataset.load(row).sample)

    def _matching(self, reviewer: str, filters: Filters) -> np.ndarray:
        return self._rows(filters) & self.progress.matching(filters.status, reviewer)

    def _rows(self, filters: Filters) -> np.ndarray:
        return self.dataset.matching(
            language=filters.language, task_type=filters.task_type, modality=filters.modality
        )

    def _card(self, row: int, reviewer: str) -> dict[str, Any]:
        sample_id = self.dataset.sample_id(row)
        try:
            loaded = self.dataset.load(row)
        except RowError as exc:
            return {"id": sample_id, "problem": str(exc)}
        own = self.store.standing(sample_id, reviewer)
        if own is not None and own.content_hash != loaded.content_hash:
            own = None
        return {
            "problem": None,
            **_facts(loaded),
            "row": row,
            "sides": _sides(loaded),
            "edited": self._edited_texts(row, loaded.sample),
            "own": None if own is None else event_summary(own),
            "seen": "" if own is None else own.event_id,
            "scores": _scores(loaded.sample) if own and own.verdict else None,
        }

    def _edited_texts(self, row: int, sample: Sample) -> dict[str, Any] | None:
        state = self.progress.state(row)
        if state is None or state.edits is None:
            return None
        edits = state.edits.model_dump(exclude_none=True)
        texts = {field: edits.get(field, getattr(sample, field)) for field in EDITABLE_FIELDS}
        return {"by": state.edited_by, "fields": sorted(edits), "texts": texts} if edits else None

    def _image_urls(self, row: int) -> list[str]:
        try:
            sides = _sides(self.dataset.load(row))
        except RowError:
            return []
        return [side["image"] for side in sides if side["image"]]


def event_summary(event: ReviewEvent) -> dict[str, Any]:
    """What a page shows of a stored event."""
    return {
        "event_id": event.event_id,
        "seq": event.seq,
        "ts": event.ts,
        "kind": event.kind,
        "verdict": event.verdict,
        "reasons": list(event.reasons),
        "note": event.note,
        "sample_id": event.sample_id,
    }


def _facts(row: Row) -> dict[str, Any]:
    sample = row.sample
    language = LANGUAGES[sample.language]
    return {
        "id": sample.id,
        "content_hash": row.content_hash,
        "split": row.split,
        "language": sample.language,
        "language_name": language.name,
        "is_rtl": language.is_rtl,
        "task_type": sample.task_type,
        "modality": sample.modality,
        "instruction": sample.instruction,
    }


def _sides(row: Row) -> list[dict[str, Any]]:
    """Query, positive and hard negatives in reading order; `field` names the text to edit."""
    sample = row.sample

    def side(role: str, place: str, text: str | None, sha256: str | None) -> dict[str, Any]:
        image = None if sha256 is None else f"thumbnails/{sample.id}/{place}/{sha256[:16]}.webp"
        return {"role": role, "place": place, "text": text, "image": image}

    return [
        side("query", "query", sample.query_text, sample.query_image),
        side("positive", "positive", sample.positive_text, sample.positive_image),
        *(
            side("negative", f"negative-{index}", text, sha256)
            for index, (text, sha256) in enumerate(
                zip(sample.negative_texts, sample.negative_images, strict=True)
            )
        ),
    ]


def _scores(sample: Sample) -> dict[str, Any]:
    names = ("relevance", "plausibility", "clarity", "diversity", "alignment")
    return {name: getattr(sample, name) for name in names}


def _options(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [{"value": value, "label": value, "count": count} for value, count in counts.items()]


def _plain(counts: Counts) -> dict[str, int]:
    return {
        "total": counts.total,
        "reviewed": counts.reviewed,
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "edited": counts.edited,
    }
