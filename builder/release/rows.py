"""From the ledger's kept rows to the rows of a release: judged, split, and counted if left out."""

# pyright: standard, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow ships no types, and makes its compute functions at import

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from builder.images.split import split_of
from builder.release.ahead import ahead
from builder.release.judging import Reviews
from builder.release.layout import Slot, position_of
from schemas.errors import PolysceneError
from schemas.features import IMAGE, PROVENANCE_SCHEMA, SAMPLE_SCHEMA
from schemas.vocabulary import SPLITS

_CHUNK_ROWS = 4_000

#: A row as the ledger holds it: sample and provenance as JSON.
KeptRow = tuple[bytes, bytes]


class ReleaseError(PolysceneError):
    """A release cannot be made; no version was made."""


def _hashes_for_images(kind: pa.DataType) -> pa.DataType:
    if kind.equals(IMAGE):
        return pa.string()
    return pa.list_(pa.string()) if kind.equals(pa.list_(IMAGE)) else kind


#: The sample as the ledger holds it: images named by their hash.
_HASH_SCHEMA = pa.schema(
    [pa.field(column.name, _hashes_for_images(column.type)) for column in SAMPLE_SCHEMA]
)


@dataclass(slots=True)
class Chunk:
    """Rows of a release in order of id.

    Args:
        samples: Samples with image hashes, one row an entry of the other fields.
        provenance: Their provenance.
        raw_samples: Their JSON, which decides whether a shard changed.
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
class RowSource:
    """Reads, judges and splits the kept rows.

    Args:
        kept: Kept rows in order of id.
        reviews: What the reviewers say of them.
        validation_share: Of the image groups.
        targets: Most rows of each slot; None trims nothing.
        dropped: Rows left out, by reason; filled while reading.
    """

    kept: Iterable[KeptRow]
    reviews: Reviews
    validation_share: float
    targets: Mapping[Slot, int] | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_by_language: Counter[str] = field(default_factory=Counter)
    _taken: Counter[Slot] = field(default_factory=Counter)
    _split_of_group: dict[str, int] = field(default_factory=dict)

    def chunks(self, advance: Callable[[int], None] = lambda _: None) -> Iterator[Chunk]:
        """The rows of the release; `advance` hears how many kept rows each chunk took in."""
        rows = iter(self.kept)
        last_id = ""
        # SQLite reads the next rows while these are parsed.
        for batch in ahead(_batches(rows)):
            chunk, last_id = self._chunk(batch, last_id)
            advance(len(batch))
            if len(chunk.raw_samples):
                yield chunk

    def _chunk(self, batch: list[KeptRow], last_id: str) -> tuple[Chunk, str]:
        raw_samples = [sample for sample, _ in batch]
        raw_provenance = [provenance for _, provenance in batch]
        samples = _read_json(raw_samples, _HASH_SCHEMA)
        provenance = _read_json(raw_provenance, PROVENANCE_SCHEMA)
        ids = samples["id"].to_pylist()
        if provenance["id"].to_pylist() != ids:
            raise ReleaseError(
                "ledger: a sample and its provenance do not belong together. "
                "Run `python -m builder reparse`."
            )
        reasons: dict[int, str] = {}
        edited: list[int] = []
        for index, sample_id in enumerate(ids):
            if sample_id == last_id:
                reasons[index] = "same_content"
            elif self.reviews.concern(sample_id):
                judgement = self.reviews.judge(raw_samples[index])
                if judgement.sample is None:
                    reasons[index] = judgement.reason or "rejected_in_review"
                elif judgement.is_edited:
                    raw_samples[index] = judgement.sample
                    edited.append(index)
            last_id = sample_id
        splits = self._splits(provenance, ids)
        for index in np.flatnonzero(splits < 0):
            reasons.setdefault(int(index), "straddles_the_split")
        if edited:
            samples = _with_rows(samples, edited, raw_samples, _HASH_SCHEMA)
        if self.targets is not None:
            self._trim(samples, reasons, self.targets)
        positions = np.fromiter(map(position_of, ids), np.int64, len(ids))
        if reasons:
            languages = samples["language"]
            for index, reason in reasons.items():
                self.dropped[reason] += 1
                self.dropped_by_language[languages[index].as_py()] += 1
            stay = np.array([index not in reasons for index in range(len(ids))])
            samples, provenance = samples.filter(stay), provenance.filter(stay)
            positions, splits = positions[stay], splits[stay]
            raw_samples = [row for row, kept in zip(raw_samples, stay, strict=True) if kept]
            raw_provenance = [row for row, kept in zip(raw_provenance, stay, strict=True) if kept]
        chunk = Chunk(samples, provenance, raw_samples, raw_provenance, positions, splits)
        return chunk, last_id

    def _splits(self, provenance: pa.Table, ids: list[str]) -> np.ndarray:
        """0 train, 1 validation, -1 where a row's images stand on both sides."""
        images = provenance["images"].combine_chunks()
        parents = pc.list_parent_indices(images).to_numpy()
        groups = pc.struct_field(pc.list_flatten(images), "group").dictionary_encode()
        sides = np.array(
            [self._split(name) for name in groups.dictionary.to_pylist()] or [0], np.int64
        )[groups.indices.to_numpy(zero_copy_only=False)]
        num_images = np.bincount(parents, minlength=len(ids))
        num_validation = np.bincount(parents, weights=sides, minlength=len(ids)).astype(np.int64)
        splits = np.where(num_validation == 0, 0, np.where(num_validation == num_images, 1, -1))
        for index in np.flatnonzero(num_images == 0):
            splits[index] = self._split(f"sample:{ids[index]}")
        return splits

    def _split(self, group: str) -> int:
        if group not in self._split_of_group:
            self._split_of_group[group] = SPLITS.index(split_of(group, self.validation_share))
        return self._split_of_group[group]

    def _trim(self, samples: pa.Table, reasons: dict[int, str], targets: Mapping[Slot, int]):
        columns = (samples[name].to_pylist() for name in ("task_type", "modality", "language"))
        for index, slot in enumerate(zip(*columns, strict=True)):
            if index in reasons:
                continue
            if self._taken[slot] >= targets.get(slot, 0):
                reasons[index] = "surplus"
            else:
                self._taken[slot] += 1


def _batches(rows: Iterator[KeptRow]) -> Iterator[list[KeptRow]]:
    while batch := list(islice(rows, _CHUNK_ROWS)):
        yield batch


def _with_rows(
    table: pa.Table, indices: list[int], rows: list[bytes], schema: pa.Schema
) -> pa.Table:
    """The table with some rows read anew, which are few.

    Args:
        table: Rows as they were.
        indices: Positions of the rows that changed, in order.
        rows: All rows as JSON.
        schema: The table's.
    """
    anew = _read_json([rows[index] for index in indices], schema)
    parts: list[pa.Table] = []
    start = 0
    for number, index in enumerate(indices):
        parts += [table.slice(start, index - start), anew.slice(number, 1)]
        start = index + 1
    return pa.concat_tables([*parts, table.slice(start)]).combine_chunks()


def _read_json(rows: list[bytes], schema: pa.Schema) -> pa.Table:
    """Parses JSON objects into a table, in order.

    Raises:
        ReleaseError: A row is not of the schema.
    """
    data = b"\n".join(rows)
    try:
        table = pa_json.read_json(
            pa.BufferReader(data),
            read_options=pa_json.ReadOptions(block_size=max(1 << 20, 2 * max(map(len, rows)))),
            parse_options=pa_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="error"
            ),
        )
    except pa.ArrowInvalid as exc:
        raise ReleaseError(
            f"ledger: a kept row does not fit the schema ({exc}). Run `python -m builder reparse`."
        ) from exc
    if table.num_rows != len(rows):
        raise ReleaseError("ledger: a kept row is not one JSON object. Run reparse.")
    return table.combine_chunks()
