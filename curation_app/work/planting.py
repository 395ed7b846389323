"""Makes defects: takes a sound row and makes it wrong in a way that can be checked."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from pydantic import ValidationError

from curation_app.data.version import VersionDataset
from curation_app.store.queues import QueueItem
from schemas.audit import SeedKind
from schemas.errors import PolysceneError, RowError
from schemas.sample import Sample

SEED_KINDS: tuple[SeedKind, ...] = get_args(SeedKind)
_NUM_TRIES = 40

#: Place of a card -> the row that has its image, and the place there.
ImageHomes = dict[str, tuple[str, str]]


class SeedError(PolysceneError):
    """Planted defects cannot be made from these rows."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A planted defect that is not stored yet."""

    kind: SeedKind
    origin: str
    sample: Sample
    homes: ImageHomes

    @property
    def item(self) -> QueueItem:
        """As an item of a queue, for people who read the row's language."""
        return QueueItem(self.sample.id, self.sample.language)


class Planter:
    """Makes defects of rows of a version.

    Three kinds: positive and hard negative swapped; a text of another
    language's row; the query of another row of the same language and cell. The
    item's id is new, so that nothing of it can be taken for the row.
    """

    def __init__(self, dataset: VersionDataset, generator: np.random.Generator) -> None:
        self._dataset = dataset
        self._generator = generator

    def plant(self, num: int, rows: Sequence[int]) -> list[Planted]:
        """Plants defects of all kinds in turn, each in a row of its own.

        Args:
            num: How many.
            rows: Rows to make them from; those drawn for the audit should not
                be among them, or a reviewer would meet the same row twice.

        Raises:
            SeedError: The rows do not give so many.
        """
        planted: list[Planted] = []
        order = self._generator.permutation(np.asarray(rows, dtype=np.int64)).tolist()
        for row in order:
            if len(planted) == num:
                break
            start = len(planted) % len(SEED_KINDS)
            for kind in (*SEED_KINDS[start:], *SEED_KINDS[:start]):
                made = self._plant(kind, row)
                if made is not None:
                    planted.append(made)
                    break
        if len(planted) < num:
            raise SeedError(
                f"{len(planted)} defects could be planted in {len(order):,} rows that are not "
                f"drawn, {num} were asked for. Ask for fewer, or draw fewer rows."
            )
        return planted

    def _plant(self, kind: SeedKind, row: int) -> Planted | None:
        """One defect in a row; None where the row has no room for it."""
        sample = self._sample(row)
        if sample is None:
            return None
        homes = _homes_of(sample)
        if kind == "swapped":
            changed = _swapped(sample, homes)
        else:
            other = self._other(kind, row, sample)
            if other is None:
                return None
            changed = (
                _with_text_of(sample, other)
                if kind == "other_language"
                else _with_query_of(sample, other, homes)
            )
        content = {**sample.model_dump(), **changed, "id": secrets.token_hex(12)}
        try:
            planted = Sample.model_validate(content)
        except ValidationError:
            return None
        return Planted(kind, sample.id, planted, homes)

    def _other(self, kind: SeedKind, row: int, sample: Sample) -> Sample | None:
        """Another row of the same cell whose text or query is wrong here."""
        if kind == "other_language" and not _text_field(sample):
            return None
        language = None if kind == "other_language" else sample.language
        mask = self._dataset.matching(
            language=language, task_type=sample.task_type, modality=sample.modality
        )
        mask[row] = False
        if kind == "other_language":
            mask &= ~self._dataset.matching(language=sample.language)
        candidates = np.flatnonzero(mask)
        for candidate in self._generator.permutation(candidates)[:_NUM_TRIES].tolist():
            other = self._sample(candidate)
            if other is not None and _is_wrong_here(kind, sample, other):
                return other
        return None

    def _sample(self, row: int) -> Sample | None:
        try:
            return self._dataset.load(row).sample
        except RowError:
            return None


def _swapped(sample: Sample, homes: ImageHomes) -> dict[str, object]:
    """Positive and first hard negative change places, texts and images."""
    if "positive" in homes:
        homes["positive"], homes["negative-0"] = homes["negative-0"], homes["positive"]
    return {
        "positive_text": sample.negative_texts[0],
        "positive_image": sample.negative_images[0],
        "negative_texts": (sample.positive_text, *sample.negative_texts[1:]),
        "negative_images": (sample.positive_image, *sample.negative_images[1:]),
    }


def _with_text_of(sample: Sample, other: Sample) -> dict[str, object]:
    field = _text_field(sample)
    assert field is not None
    return {field: getattr(other, field)}


def _with_query_of(sample: Sample, other: Sample, homes: ImageHomes) -> dict[str, object]:
    """The query's text is another row's; where it has none, its image is."""
    if sample.query_text is not None:
        return {"query_text": other.query_text}
    homes["query"] = (other.id, "query")
    return {"query_image": other.query_image}


def _text_field(sample: Sample) -> str | None:
    """The text that another language is planted in."""
    for field in ("positive_text", "query_text"):
        if getattr(sample, field) is not None:
            return field
    return None


def _is_wrong_here(kind: SeedKind, sample: Sample, other: Sample) -> bool:
    if kind == "other_language":
        field = _text_field(sample)
        # Names and numbers are the same text in many languages.
        return field is not None and getattr(other, field) != getattr(sample, field)
    field = "query_text" if sample.query_text is not None else "query_image"
    if getattr(other, field) == getattr(sample, field):
        return False
    return (other.positive_text, other.positive_image) != (
        sample.positive_text,
        sample.positive_image,
    )


def _homes_of(sample: Sample) -> ImageHomes:
    homes: ImageHomes = {}
    if sample.query_image is not None:
        homes["query"] = (sample.id, "query")
    if sample.positive_image is not None:
        homes["positive"] = (sample.id, "positive")
    for index, image in enumerate(sample.negative_images):
        if image is not None:
            homes[f"negative-{index}"] = (sample.id, f"negative-{index}")
    return homes
