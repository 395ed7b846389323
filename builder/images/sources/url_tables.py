"""Parquet files of image URLs, as LAION has them: each image is downloaded."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builder.images.sources.candidate import Candidate, Entry, PresentFile, RefusedFile
from builder.images.sources.download import Downloader, Failed, UrlOptions
from builder.images.sources.facts import Facts, facts_of, is_fact_key
from builder.images.sources.table_kinds import find_url_column
from builder.images.sources.tables import TableError, one_line

__all__ = ["UrlOptions", "read_url_tables"]

#: Rows whose downloads may be under way or waiting to be taken, in order.
_WINDOW = 128
_ROWS_AT_ONCE = 256

_Waiting = tuple[str, str, Facts, Future[bytes | Failed]]


def read_url_tables(
    paths: Iterable[Path],
    max_bytes: int,
    column: str | None,
    root: Path | None,
    options: UrlOptions,
) -> Iterator[Entry]:
    """Yields the images of the URLs in order of the rows, downloading some ahead.

    Whether a file is an image is for the vetting to say: what a server calls it
    is not looked at. URLs that an earlier run settled are not fetched again.

    Args:
        paths: The tables; each is read as far as it can be.
        max_bytes: Largest image to take.
        column: The column of URLs; found by name and content if None.
        root: Rows are named by their file's path below it; else by the file's name.
        options: Limits of the downloads.

    Raises:
        TableError: After the last row: some tables cannot be read, or have no such column.
    """
    problems: list[str] = []
    waiting: deque[_Waiting | Entry] = deque()
    with Downloader(options, max_bytes) as downloader:
        for name, url, row in _rows(paths, column, root, problems):
            waiting.append(_begun(name, url, row, downloader, options))
            if len(waiting) >= _WINDOW:
                yield _taken(waiting.popleft())
        while waiting:
            yield _taken(waiting.popleft())
    if problems:
        more = f"; {len(problems) - 5} more" if len(problems) > 5 else ""
        raise TableError("; ".join(problems[:5]) + more + ".")


def _begun(
    name: str, url: str, row: dict[str, Any], downloader: Downloader, options: UrlOptions
) -> _Waiting | Entry:
    if not url:
        return RefusedFile(name, "invalid_url", "the row has no URL")
    known = options.fetched(url)
    if known is None:
        return name, url, facts_of(row), downloader.submit(url)
    reason, what = known
    if reason is None:
        return PresentFile(name)
    return RefusedFile(name, reason, what or "", fetched_from=url)  # pyright: ignore[reportArgumentType]


def _taken(waiting: "_Waiting | Entry") -> Entry:
    if not isinstance(waiting, tuple):
        return waiting
    name, url, facts, future = waiting
    result = future.result()
    if isinstance(result, Failed):
        settled = url if result.is_final else None
        return RefusedFile(name, result.reason, f"{url}: {result.what}", fetched_from=settled)
    return Candidate(
        name,
        result,
        url,
        licence=facts.licence,
        caption=facts.caption,
        alt_text=facts.alt_text,
        fetched_from=url,
    )


def _rows(
    paths: Iterable[Path], column: str | None, root: Path | None, problems: list[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, URL and facts of each row."""
    for path in paths:
        name = path.relative_to(root).as_posix() if root else path.name
        index = 0
        try:
            with pq.ParquetFile(path) as file:
                schema = file.schema_arrow
                chosen = find_url_column(file, column)
                if chosen is None:
                    missing = f"no column {column!r} of URLs" if column else "no column of URLs"
                    problems.append(f"{path}: {missing} among {', '.join(schema.names[:40])}")
                    continue
                wanted = [chosen, *(n for n in schema.names if n != chosen and is_fact_key(n))]
                for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=wanted):
                    for row in batch.to_pylist():
                        yield f"{name}#{index}", (row.pop(chosen) or "").strip(), row
                        index += 1
        except (pa.ArrowException, OSError) as exc:
            problems.append(f"{path}: damaged after row {index:,} ({one_line(exc)})")
