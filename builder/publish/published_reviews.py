"""Reads the review events that a version has published as its `reviews` config."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from collections.abc import Iterator

import pyarrow.parquet as pq
from pydantic import ValidationError

from builder.release.compare import ComparedVersion
from schemas.errors import RowError
from schemas.review import ReviewEvent
from schemas.review_rows import review_event


def published_events(version: ComparedVersion) -> Iterator[ReviewEvent]:
    """Review events of a version, on disk or on a Hub, in published order.

    Raises:
        RowError: A row is not a review event.
    """
    for entry in version.manifest.shards:
        if entry.config != "reviews":
            continue
        with version.open_shard(entry) as source, pq.ParquetFile(source) as file:
            index = 0
            for batch in file.iter_batches():
                for record in batch.to_pylist():
                    yield _parsed(record, entry.path, index)
                    index += 1


def _parsed(record: dict[str, object], shard: str, index: int) -> ReviewEvent:
    try:
        return review_event(record)
    except (ValidationError, ValueError, KeyError, TypeError) as exc:
        raise RowError(
            f"not a review event: {str(exc).splitlines()[0]}",
            shard=shard,
            row_index=index,
            remedy="Do not use this version; tell its publisher.",
        ) from exc
