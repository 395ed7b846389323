"""Parquet files with image bytes in a column."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builder.images.sources.candidate import Candidate, RefusedFile, too_many_bytes
from builder.images.sources.facts import Facts, facts_of, is_fact_key
from builder.images.sources.image_columns import find_image_column, images_in
from schemas.errors import PolysceneError

_ROWS_AT_ONCE = 64


class TableError(PolysceneError):
    """A table is unreadable or has no image column."""


def read_parquet(
    paths: Iterable[Path], max_bytes: int, column: str | None = None, root: Path | None = None
) -> Iterator[Candidate | RefusedFile]:
    """Yields the images of a column, a few rows in memory at a time.

    The column has bytes, `{"bytes", "path"}` as `datasets` writes images, or
    lists of these; columns such as `url`, `licence` and `caption` are used if
    present, whatever their case.

    Args:
        paths: The files; each is read as far as it can be.
        max_bytes: Largest image to take.
        column: The column of images; found by type and content if None.
        root: Rows are named by their file's path below it; else by the file's name.

    Raises:
        TableError: After the last file: some, or parts of them, are no readable Parquet, or
            have no image column.
    """
    problems: list[str] = []
    for path in paths:
        name = path.relative_to(root).as_posix() if root else path.name
        try:
            with pq.ParquetFile(path) as file:
                chosen = column or find_image_column(file)
                if chosen is None or chosen not in file.schema_arrow.names:
                    problems.append(_no_column(path, column, file.schema_arrow.names))
                    continue
                yield from _read_file(file, path, name, chosen, max_bytes, problems)
        except (pa.ArrowException, OSError) as exc:
            problems.append(f"{path}: not readable as Parquet ({one_line(exc)})")
    if problems:
        more = f"; {len(problems) - 5} more" if len(problems) > 5 else ""
        raise TableError("; ".join(problems[:5]) + more + ".")


def _read_file(
    file: pq.ParquetFile,
    path: Path,
    name: str,
    column: str,
    max_bytes: int,
    problems: list[str],
) -> Iterator[Candidate | RefusedFile]:
    wanted = [column, *(n for n in file.schema_arrow.names if n != column and is_fact_key(n))]
    first = 0
    for number in range(file.num_row_groups):
        num_rows = file.metadata.row_group(number).num_rows
        index = first
        try:
            for batch in file.iter_batches(
                batch_size=_ROWS_AT_ONCE, row_groups=[number], columns=wanted
            ):
                for row in batch.to_pylist():
                    yield from entries_of_row(row, f"{name}#{index}", column, max_bytes)
                    index += 1
        except (pa.ArrowException, OSError) as exc:
            lost = first + num_rows - index
            problems.append(
                f"{path}: rows {index:,} to {first + num_rows - 1:,} are damaged ({one_line(exc)});"
                f" {lost:,} rows are lost, the others are kept"
            )
        first += num_rows


def entries_of_row(
    row: Mapping[str, Any], name: str, column: str, max_bytes: int
) -> Iterator[Candidate | RefusedFile]:
    """The images of one row; one that is given only by its path is refused."""
    images = images_in(row.get(column))
    facts = facts_of({key: value for key, value in row.items() if key != column})
    group = f"row:{name}" if len(images) > 1 else None
    for number, data in enumerate(images):
        full_name = f"{name}.{number}" if len(images) > 1 else name
        yield _entry(data, full_name, facts, group, max_bytes)
    if not images:
        yield RefusedFile(name, "empty_file", "the row has no image bytes")


def _entry(
    data: bytes | None, name: str, facts: Facts, group: str | None, max_bytes: int
) -> Candidate | RefusedFile:
    if data is None:
        return RefusedFile(name, "empty_file", "the row has no image bytes")
    if len(data) > max_bytes:
        return too_many_bytes(name, len(data), max_bytes)
    return Candidate(
        name,
        data,
        facts.url or name,
        group,
        facts.licence,
        caption=facts.caption,
        alt_text=facts.alt_text,
    )


def _no_column(path: Path, column: str | None, names: list[str]) -> str:
    missing = f"no column {column!r}" if column else "no column of images found"
    listed = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
    return (
        f"{path}: {missing} among {listed}. Name it with --image-column, or use --kind folder "
        "for image files that lie beside it"
    )


def one_line(exc: Exception) -> str:
    """What went wrong, for a message of one line."""
    return " ".join(str(exc).split())[:300]
