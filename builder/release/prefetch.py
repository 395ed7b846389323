"""Makes the next item while the current one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """The same items in the same order; a thread makes each while the one before is used.

    Worth it where making and using both release Python's lock, as reading
    files, SQLite, hashing and Arrow do.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as maker:
        upcoming = maker.submit(next, items, _END)
        while (item := upcoming.result()) is not _END:
            upcoming = maker.submit(next, items, _END)
            yield item  # type: ignore[misc]  # not the end, so an item
