"""Turns the ledger's kept rows into those of a release: reviewed, split, counted if left out."""

# pyright: standard, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow ships no types, and makes its compute functions at import

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress, islice, pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builder.images.split import split_of
from builder.ledger.json_rows import read_json_rows
from builder.plan.shares import Slot
from builder.release.judging import Reviews
from builder.release.layout import position_of
from builder.release.prefetch import prefetch
from schemas.errors import PolysceneError
from schemas.features import SAMPLE_SCHEMA, config_schema, with_image_names
from schemas.vocabulary import SPLITS

_CHUNK_ROWS = 4_000

#: A row in the ledger: sample and provenance as JSON.
KeptRow = tuple[bytes, bytes]


class ReleaseError(PolysceneError):
    """A release cannot be made; no version was made."""


#: The sample as in the ledger, with images named by their hash.
_HASH_SCHEMA = with_image_names(SAMPLE_SCHEMA)


@dataclass(slots=True)
class Chunk:
    """Rows of a release in order of id.

    Args:
        samples: Samples with image hashes, in the order of the other fields.
        provenance: Their provenance.
        raw_samples: Their JSON, whose hash decides whether a shard changed.
        raw_provenance: The same of the provenance.
        positions: Leading 32 bits of the ids.
        splits: 0 for train, 1 for validation.
    """

    samples: pa.Table
    provenance: pa.Table
    raw_samples: list[bytes]
    raw_provenance: list[bytes]
    positions: np.ndarray
    splits: np.ndarray


@dataclass(slots=True)
class _Batch:
    """Kept rows on their way through the release, and which of them are left out.

    Args:
        samples: Samples with image hashes.
        provenance: Their provenance.
        raw_samples: Their JSON.
        raw_provenance: The same of the provenance.
        ids: Their ids.
        reasons: Why a row is left out, by position.
    """

    samples: pa.Table
    provenance: pa.Table
    raw_samples: list[bytes]
    raw_provenance: list[bytes]
    ids: list[str]
    reasons: dict[int, str] = field(default_factory=dict)

    def chunk(self, splits: np.ndarray) -> Chunk:
        """The rows that are not left out.

        Args:
            splits: Of all rows: 0 for train, 1 for validation.
        """
        positions = np.fromiter(map(position_of, self.ids), np.int64, len(self.ids))
        if not self.reasons:
            raw = self.raw_samples, self.raw_provenance
            return Chunk(self.samples, self.provenance, *raw, positions, splits)
        is_kept = np.array([index not in self.reasons for index in range(len(self.ids))])
        return Chunk(
            self.samples.filter(is_kept),
            self.provenance.filter(is_kept),
            list(compress(self.raw_samples, is_kept)),
            list(compress(self.raw_provenance, is_kept)),
            positions[is_kept],
            splits[is_kept],
        )


@dataclass(slots=True)
class RowSource:
    """Reads, reviews and splits the kept rows.

    Args:
        kept: Kept rows in order of id.
        reviews: The reviewers' events.
        validation_share: Share of the image groups in the validation split.
        targets: Most rows of each slot; None trims nothing.
        has_extra: Whether provenance has the column of fields of one's own.
        dropped: Rows left out, by reason; filled while reading.
    """

    kept: Iterable[KeptRow]
    reviews: Reviews
    validation_share: float
    targets: Mapping[Slot, int] | None = None
    has_extra: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_by_language: Counter[str] = field(default_factory=Counter)
    _num_kept: Counter[Slot] = field(default_factory=Counter)
    _split_of_group: dict[str, int] = field(default_factory=dict)

    def chunks(self, advance: Callable[[int], None] = lambda _: None) -> Iterator[Chunk]:
        """The rows of the release; calls `advance` with the number of kept rows in each chunk."""
        last_id = ""
        # SQLite reads the next rows while these are parsed.
        for rows in prefetch(_in_lists(iter(self.kept))):
            batch = _read_batch(rows, self.has_extra)
            chunk = self._chunk(batch, last_id)
            last_id = batch.ids[-1]
            advance(len(rows))
            if len(chunk.raw_samples):
                yield chunk

    def _chunk(self, batch: _Batch, last_id: str) -> Chunk:
        """Leaves out rows in the order that decides their reason, the surplus last.

        Only then is it known how many rows of a slot remain, and no row takes
        the place of another that a reviewer rejected.

        Args:
            batch: The next rows.
            last_id: Id of the row before them, as equal ids follow one another.
        """
        self._drop_repeats(batch, last_id)
        self._review(batch)
        splits = self._splits(batch)
        for index in np.flatnonzero(splits < 0):
            batch.reasons.setdefault(int(index), "straddles_the_split")
        if self.targets is not None:
            self._trim(batch, self.targets)
        self._count_dropped(batch)
        return batch.chunk(splits)

    def _drop_repeats(self, batch: _Batch, last_id: str) -> None:
        """Keeps the first of several rows with one id, that is with the same content."""
        for index, (before, sample_id) in enumerate(pairwise([last_id, *batch.ids])):
            if sample_id == before:
                batch.reasons[index] = "same_content"

    def _review(self, batch: _Batch) -> None:
        """Applies the reviewers' events: drops rows, and replaces those that were edited."""
        edited: list[int] = []
        for index, sample_id in enumerate(batch.ids):
            if index in batch.reasons or not self.reviews.has_events(sample_id):
                continue
            judgement = self.reviews.judge(batch.raw_samples[index])
            if judgement.sample is None:
                batch.reasons[index] = judgement.reason or "rejected_in_review"
            elif judgement.is_edited:
                batch.raw_samples[index] = judgement.sample
                edited.append(index)
        if edited:
            batch.samples = _with_rows(batch.samples, edited, batch.raw_samples, _HASH_SCHEMA)

    def _splits(self, batch: _Batch) -> np.ndarray:
        """0 train, 1 validation, -1 where a row has images of both splits."""
        images = batch.provenance["images"].combine_chunks()
        row_of_image = pc.list_parent_indices(images).to_numpy()
        groups = pc.struct_field(pc.list_flatten(images), "group").dictionary_encode()
        # Each group is looked up once, however many images of the batch belong to it.
        split_of_number = np.array(
            [self._split(name) for name in groups.dictionary.to_pylist()] or [0], np.int64
        )
        is_validation = split_of_number[groups.indices.to_numpy(zero_copy_only=False)]
        num_rows = len(batch.ids)
        num_images = np.bincount(row_of_image, minlength=num_rows)
        num_validation = np.bincount(row_of_image, is_validation, num_rows).astype(np.int64)
        splits = np.where(num_validation == 0, 0, np.where(num_validation == num_images, 1, -1))
        for index in np.flatnonzero(num_images == 0):
            splits[index] = self._split(f"sample:{batch.ids[index]}")
        return splits

    def _split(self, group: str) -> int:
        if group not in self._split_of_group:
            self._split_of_group[group] = SPLITS.index(split_of(group, self.validation_share))
        return self._split_of_group[group]

    def _trim(self, batch: _Batch, targets: Mapping[Slot, int]) -> None:
        """Leaves out what a slot has above its target."""
        columns = (
            batch.samples[name].to_pylist() for name in ("task_type", "modality", "language")
        )
        for index, slot in enumerate(zip(*columns, strict=True)):
            if index in batch.reasons:
                continue
            if self._num_kept[slot] >= targets.get(slot, 0):
                batch.reasons[index] = "surplus"
            else:
                self._num_kept[slot] += 1

    def _count_dropped(self, batch: _Batch) -> None:
        languages = batch.samples["language"]
        for index, reason in batch.reasons.items():
            self.dropped[reason] += 1
            self.dropped_by_language[languages[index].as_py()] += 1


def _read_batch(rows: list[KeptRow], has_extra: bool) -> _Batch:
    """Parses kept rows.

    Raises:
        LedgerError: A row does not fit the schema.
        ReleaseError: A sample and its provenance do not belong together.
    """
    raw_samples = [sample for sample, _ in rows]
    raw_provenance = [provenance for _, provenance in rows]
    samples = read_json_rows(raw_samples, _HASH_SCHEMA)
    schema = config_schema("provenance", has_extra=has_extra)
    provenance = read_json_rows(raw_provenance, schema)
    ids = samples["id"].to_pylist()
    if provenance["id"].to_pylist() != ids:
        raise ReleaseError(
            "ledger: a sample and its provenance do not belong together. "
            "Run `python -m builder reparse`."
        )
    return _Batch(samples, provenance, raw_samples, raw_provenance, ids)


def _in_lists(rows: Iterator[KeptRow]) -> Iterator[list[KeptRow]]:
    while batch := list(islice(rows, _CHUNK_ROWS)):
        yield batch


def _with_rows(
    table: pa.Table, indices: list[int], rows: list[bytes], schema: pa.Schema
) -> pa.Table:
    """The table with a few rows read again.

    Args:
        table: Rows as they were.
        indices: Positions of the rows that changed, in order.
        rows: All rows as JSON.
        schema: The table's.
    """
    changed = read_json_rows([rows[index] for index in indices], schema)
    parts: list[pa.Table] = []
    start = 0
    for number, index in enumerate(indices):
        parts += [table.slice(start, index - start), changed.slice(number, 1)]
        start = index + 1
    return pa.concat_tables([*parts, table.slice(start)]).combine_chunks()
