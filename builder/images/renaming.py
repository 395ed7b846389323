"""Rows of the ledger under the hashes that their images are published by now."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice, product
from typing import Any, Protocol

import orjson

from builder.images.record import ImageRecord
from schemas.sample import CONTENT_FIELDS, content_hash

#: By published hash, the names that images had in earlier versions.
FormerNames = Callable[[Collection[str]], Mapping[str, list[str]]]


class Names(Protocol):
    """What is asked of an image store."""

    def published_names(self, names: Collection[str]) -> Mapping[str, str]: ...

    def records_of(self, hashes: Collection[str]) -> Mapping[str, ImageRecord]: ...


_BATCH_ROWS = 500
_HASH = re.compile(rb'"sha256":"([0-9a-f]{64})"')
#: A row's former contents are sought among at most this many combinations of names.
_MAX_CONTENTS = 64


def published_rows(
    rows: Iterable[tuple[bytes, bytes]], images: Names
) -> Iterator[tuple[bytes, bytes]]:
    """Kept rows with each image under its published hash.

    Args:
        rows: Sample and provenance as JSON, as in the ledger.
        images: Gives the names that changed, and facts about their images.
    """
    stream = iter(rows)
    while batch := list(islice(stream, _BATCH_ROWS)):
        named = [set(_HASH.findall(provenance)) for _, provenance in batch]
        changed = images.published_names({name.decode() for names in named for name in names})
        records = images.records_of(changed)
        hexed = {name.encode() for name in changed}
        for (sample, provenance), names in zip(batch, named, strict=True):
            if hexed.isdisjoint(names):
                yield sample, provenance
            else:
                yield _renamed_sample(sample, changed), _renamed_provenance(provenance, records)


def contents_of(row: Mapping[str, Any], former_names: FormerNames) -> list[str]:
    """Content hashes under which a row was reviewed: today's, and those with former names."""
    content = {name: row[name] for name in CONTENT_FIELDS}
    hashes = [content_hash(content)]
    images = _images(content)
    former = former_names(images)
    if former:
        choices = [[sha256, *former.get(sha256, ())] for sha256 in images]
        for names in islice(product(*choices), _MAX_CONTENTS):
            renamed = _with_images(content, dict(zip(images, names, strict=True)))
            hashes.append(content_hash(renamed))
    return list(dict.fromkeys(hashes))


def none_renamed(hashes: Collection[str]) -> dict[str, list[str]]:
    """`FormerNames` where no image ever had another name."""
    del hashes
    return {}


def _images(content: Mapping[str, Any]) -> list[str]:
    named = (content["query_image"], content["positive_image"], *content["negative_images"])
    return list(dict.fromkeys(name for name in named if name is not None))


def _with_images(content: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    def renamed(name: str | None) -> str | None:
        return None if name is None else names.get(name, name)

    return content | {
        "query_image": renamed(content["query_image"]),
        "positive_image": renamed(content["positive_image"]),
        "negative_images": [renamed(name) for name in content["negative_images"]],
    }


def _renamed_sample(sample: bytes, published: Mapping[str, str]) -> bytes:
    return orjson.dumps(_with_images(orjson.loads(sample), published))


def _renamed_provenance(provenance: bytes, records: Mapping[str, ImageRecord]) -> bytes:
    row = orjson.loads(provenance)
    for image in row["images"]:
        record = records.get(image["sha256"])
        if record is None:
            continue
        image["sha256"] = record.sha256
        image["licence_id"] = record.licence_id
        if record.original is not None:
            image.update(record.original.as_published())
    return orjson.dumps(row)
