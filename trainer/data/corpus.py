"""One split of a published version in memory: rows of items, images, image groups."""

from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from schemas.manifest import ShardEntry
from schemas.versions import Version, open_version
from schemas.vocabulary import CONFIG_OF_TASK
from trainer.data.image_store import ImageStore
from trainer.data.items import Row
from trainer.data.row_reader import COLUMNS, DamagedImageError, RowReader, Skipped
from trainer.data.shard_reader import ShardError, read_batches
from trainer.errors import CorpusError, NoHeldOutError

_TASK_CONFIGS = tuple(CONFIG_OF_TASK.values())
#: What the trainer needs of a version.
CONFIGS = (*_TASK_CONFIGS, "provenance")

#: Of the provenance of a row's images, what the trainer reads.
_IMAGE_GROUPS = pa.list_(pa.struct([("sha256", pa.string()), ("group", pa.string())]))


@dataclass(slots=True)
class Corpus:
    """One split of a version.

    Args:
        version: Where it came from.
        split: "train" or "validation".
        rows: Rows of every task config, in published order.
        images: Bytes of every image, by sha256.
        groups: Image group by sha256; empty where the version has no `provenance`.
        skipped: What was left out, by reason.
    """

    version: Version
    split: str
    rows: list[Row] = field(default_factory=list)
    images: ImageStore = field(default_factory=ImageStore)
    groups: dict[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def group_of(self, image: str) -> str:
        """Group of an image; an image without one is a group of its own."""
        return self.groups.get(image, image)

    def files_of(self, ids: Collection[str]) -> dict[str, str]:
        """File of the version that each row id is in, for messages; reads the ids again."""
        wanted = set(ids)
        found: dict[str, str] = {}
        for shard in _shards(self.version, self.split):
            if len(found) == len(wanted):
                break
            for batch in read_batches(self.version, shard, ["id"]):
                found |= dict.fromkeys(wanted.intersection(batch["id"].to_pylist()), shard.path)
        return found

    def without_unreadable(self, max_share: float = 0.001) -> "Corpus":
        """The corpus without rows whose picture cannot be decoded; see `check_pictures`.

        Raises:
            UnreadablePicturesError: They are more than this share.
        """
        from trainer.data.picture_check import check_pictures

        return check_pictures(self, max_share)


def load_corpus(dataset: str | Version, split: str, *, images: ImageStore | None = None) -> Corpus:
    """Reads one split of every task config, straight from the files that the manifest lists.

    Rows that break the contract (an unknown language or modality, a side that
    does not fit) are skipped and counted in `Corpus.skipped`.

        corpus = load_corpus("demo/pictograms@0.2.0", "train")

    Args:
        dataset: As `open_version` takes it, or a version that is open.
        split: "train" or "validation".
        images: Where images go; shared, it keeps images of several versions once.

    Raises:
        VersionError: There is no such version.
        NoHeldOutError: It has rows, but none in this split.
        CorpusError: It has no rows, or none that can be used.
        ShardError: A file is damaged or lacks a column.
    """
    version = open_version(dataset, configs=CONFIGS) if isinstance(dataset, str) else dataset
    shards = _shards(version, split)
    if not any(shard.num_rows for shard in shards):
        raise _nothing_there(version, split)
    with ThreadPoolExecutor() as pool:
        reader = RowReader(ImageStore() if images is None else images, pool)
        for shard in shards:
            _read(version, shard, reader)
    skipped = reader.skipped.result()
    if not reader.rows:
        raise CorpusError(
            version.given,
            f'no row of split "{split}" can be used: {"; ".join(map(str, skipped))}',
            "Update polyscene, or release the version again.",
        )
    groups: dict[str, str] = {}
    for shard in version.shards("provenance", split):
        groups.update(_groups(version, shard, reader.images))
    return Corpus(version, split, reader.rows, reader.images, groups, skipped)


def _read(version: Version, shard: ShardEntry, reader: RowReader) -> None:
    for batch in read_batches(version, shard, COLUMNS):
        try:
            reader.take(batch, shard.path)
        except DamagedImageError as exc:
            what = f"the bytes of image {exc} are not those that were published"
            raise ShardError(version.given, shard.path, what) from exc


def _shards(version: Version, split: str) -> list[ShardEntry]:
    return [shard for config in _TASK_CONFIGS for shard in version.shards(config, split)]


def _nothing_there(version: Version, split: str) -> CorpusError:
    counts = Counter[str]()
    for config in _TASK_CONFIGS:
        for shard in version.shards(config):
            counts[shard.split] += shard.num_rows
    if not counts.total():
        configs = dict.fromkeys(shard.config for shard in version.manifest.shards)
        return CorpusError(
            version.given,
            f"version {version.number} has no rows of {', '.join(_TASK_CONFIGS)} "
            f"(its configs: {', '.join(configs) or 'none'})",
            "Name a dataset that polyscene published.",
        )
    has = ", ".join(f"{count:,} in {name}" for name, count in counts.items() if count)
    if split != "validation":
        return NoHeldOutError(
            version.given,
            f'version {version.number} has no rows in split "{split}" ({has})',
            "Name another version.",
        )
    return NoHeldOutError(
        version.given,
        f"version {version.number} has no held-out rows ({has}): too few image groups for the "
        "validation split",
        "Add more images, so that whole groups can be held out, or raise `validation_share`; "
        "then release again.",
    )


def _groups(version: Version, shard: ShardEntry, images: ImageStore) -> Iterator[tuple[str, str]]:
    """Image and its group, of the images that rows have."""
    once: dict[str, str] = {}
    for batch in read_batches(version, shard, ["images"], {"images": _IMAGE_GROUPS}):
        sources = batch["images"].flatten()
        places = [sources.type.get_field_index(name) for name in ("sha256", "group")]
        fields = sources.flatten()
        for sha256, group in zip(*(fields[place].to_pylist() for place in places), strict=True):
            if group is not None and sha256 in images:
                yield sha256, once.setdefault(group, group)
