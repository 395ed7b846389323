"""Decides which shard a row goes to: by config, split, language group and bucket of its id.

An id is a hash, so its leading bits spread rows evenly, and a bucket is a
range of ids: rows read in order of id fill one shard of a stream after the
other. The number of buckets is a power of two, so that growth splits shards
and never shuffles them. It depends on what was generated, not on what the
reviewers kept: a rejected row changes its own shard alone.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builder.config import ReleaseConfig
from builder.plan.shares import Slot
from schemas.vocabulary import CONFIG_OF_TASK, SPLITS, Cell, Modality, TaskType

#: A config of this many shards is split by language, for languages that fill some of their own.
_LARGE_SHARDS = 8
_OWN_GROUP_SHARDS = 2
_OTHERS = "other"


@dataclass(frozen=True, slots=True)
class Stream:
    """The shards of one config, split and language group, in order of id."""

    config: str
    split: str
    group: str | None
    num_buckets: int

    def buckets_of(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bucket of each id, given its leading 32 bits."""
        return positions * self.num_buckets >> 32

    def key(self, bucket: int) -> str:
        """Stable key of a shard: `fr-03-of-08`, or `03-of-08` in a stream of all languages."""
        width = max(2, len(str(self.num_buckets - 1)))
        name = f"{bucket:0{width}d}-of-{self.num_buckets:0{width}d}"
        return f"{self.group}-{name}" if self.group else name

    def path(self, bucket: int) -> str:
        return f"data/{self.config}/{self.split}-{self.key(bucket)}.parquet"


@dataclass(frozen=True, slots=True)
class Layout:
    """The streams of a release."""

    streams: Mapping[tuple[str, str, str | None], Stream]

    def sample_stream(self, config: str, split: str, language: str) -> Stream:
        own = self.streams.get((config, split, language))
        shared = own or self.streams.get((config, split, _OTHERS))
        return shared or self.streams[config, split, None]

    def provenance_stream(self, split: str) -> Stream:
        return self.streams["provenance", split, None]


def position_of(sample_id: str) -> int:
    """An id's leading 32 bits, which decide its bucket."""
    return int(sample_id[:8], 16)


def plan_layout(
    counts: Mapping[Slot, int],
    policy: ReleaseConfig,
    validation_share: float,
    mean_image_bytes: float,
) -> Layout:
    """Decides the shards from what was generated.

    Args:
        counts: Kept samples by (task type, modality, language).
        policy: Limits of a shard.
        validation_share: Share of image groups in the validation split.
        mean_image_bytes: Mean size of the store's images. Rounded to a power of
            two, so that one more image does not reshape a release.
    """
    image_bytes = 2.0 ** round(mean_image_bytes).bit_length()
    rows: Counter[tuple[str, str]] = Counter()
    num_images: Counter[tuple[str, str]] = Counter()
    for (task, modality, language), num in counts.items():
        key = CONFIG_OF_TASK[_task(task)], language
        rows[key] += num
        num_images[key] += num * len(Cell(_task(task), _modality(modality)).image_roles)
    shares = {"train": 1 - validation_share, "validation": validation_share}
    streams: dict[tuple[str, str, str | None], Stream] = {}

    def add(config: str, split: str, group: str | None, languages: set[str]) -> None:
        share = shares[split]
        num_rows = share * sum(rows[config, language] for language in languages)
        images = share * sum(num_images[config, language] for language in languages)
        needed = max(
            num_rows / policy.rows_per_shard, images * image_bytes / policy.max_shard_bytes
        )
        streams[config, split, group] = Stream(config, split, group, _power_of_two(needed))

    for config in dict.fromkeys(CONFIG_OF_TASK.values()):
        here = {language: num for (name, language), num in rows.items() if name == config}
        own: set[str] = set()
        if sum(here.values()) >= _LARGE_SHARDS * policy.rows_per_shard:
            full = _OWN_GROUP_SHARDS * policy.rows_per_shard
            own = {language for language, num in here.items() if num >= full}
        for split in SPLITS:
            for language in sorted(own):
                add(config, split, language, {language})
            add(config, split, _OTHERS if own else None, set(here) - own)
    for split in SPLITS:
        needed = shares[split] * sum(rows.values()) / policy.rows_per_shard
        streams["provenance", split, None] = Stream(
            "provenance", split, None, _power_of_two(needed)
        )
    return Layout(streams)


def _power_of_two(needed: float) -> int:
    number = 1
    while number < needed:
        number *= 2
    return number


def _task(name: str) -> TaskType:
    return name  # type: ignore[return-value]  # the ledger holds valid rows


def _modality(name: str) -> Modality:
    return name  # type: ignore[return-value]
