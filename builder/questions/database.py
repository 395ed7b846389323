"""A workspace as a DuckDB file: made when it is first asked about, and again when it changed."""

# pyright: standard, reportMissingTypeStubs=false

import os
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from builder.images.store import ImageStore
from builder.ledger.arrow import OUTCOME_SCHEMA, read_outcomes
from builder.ledger.json_rows import read_json_rows
from builder.ledger.ledger import Ledger
from builder.progress import Progress, no_progress
from builder.release.review_sources import read_sources, review_sources
from builder.workspace import Workspace
from schemas.features import (
    PROVENANCE_SCHEMA_WITH_EXTRA,
    REVIEW_SCHEMA,
    SAMPLE_SCHEMA,
    with_image_names,
)
from schemas.review_rows import review_record

#: Name of the file in a workspace; it may be deleted at any time.
DATABASE_NAME = "questions.duckdb"
#: The views that questions are asked of, in the order they are made.
VIEWS = ("samples", "dropped", "provenance", "votes", "images", "reviews")
#: Raised by one whenever tables or views change.
_VERSION = 1
_ROWS_AT_ONCE = 10_000
_JOB = pa.field("job_id", pa.string())
_SAMPLES = pa.schema([_JOB, *with_image_names(SAMPLE_SCHEMA)])
_PROVENANCE = pa.schema([_JOB, *PROVENANCE_SCHEMA_WITH_EXTRA])
_IMAGES = pa.schema(
    [
        *((name, pa.string()) for name in ("sha256", "format", "image_group", "licence")),
        *((name, pa.string()) for name in ("licence_id", "source", "caption", "alt_text")),
        *((name, pa.int64()) for name in ("width", "height", "num_bytes")),
    ]
)
_OPTIONS: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": 2,
    "memory_limit": "1GB",
    "preserve_insertion_order": False,
}


def open_database(workspace: Workspace, progress: Progress = no_progress) -> Path:
    """The workspace's database file, made again if ledger, images or reviews changed since.

    May be called while a build goes on: it reads what is written by then.

    Raises:
        LedgerError: There is no ledger, it is damaged, or a row is of another schema.
    """
    path = workspace.root / DATABASE_NAME
    stamp = _stamp(workspace)
    if _stamp_of(path) == stamp:
        return path
    temporary = path.with_name(f"{DATABASE_NAME}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        with duckdb.connect(str(temporary), config=_OPTIONS) as database:
            _fill(database, workspace, progress)
            for view in VIEWS:
                database.execute(_sql(view))
            database.execute("CREATE TABLE made_from AS SELECT $stamp AS stamp", {"stamp": stamp})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
    return path


def _fill(database: duckdb.DuckDBPyConnection, workspace: Workspace, progress: Progress) -> None:
    with Ledger(workspace.ledger_path) as ledger:
        _insert(database, "outcome", OUTCOME_SCHEMA, read_outcomes(ledger).to_batches())
        num = ledger.db.execute("SELECT count(sample) FROM outcome").fetchone()[0]
        for name, schema in (("sample", _SAMPLES), ("provenance", _PROVENANCE)):
            batches = _json_batches(ledger, name, schema, num, progress)
            _insert(database, f"{name}_row", schema, batches)
    with ImageStore(workspace.images_dir) as store:
        records = (
            {
                field: getattr(r, "group" if field == "image_group" else field)
                for field in _IMAGES.names
            }
            | {"sha256": r.name}
            for r in store.records()
        )
        _insert(database, "image_row", _IMAGES, _batches(records, _IMAGES))
    events = map(review_record, read_sources(review_sources(workspace, ())))
    _insert(database, "review_row", REVIEW_SCHEMA, _batches(events, REVIEW_SCHEMA))


def _insert(
    database: duckdb.DuckDBPyConnection,
    table: str,
    schema: pa.Schema,
    batches: "Sequence[pa.RecordBatch] | Iterator[pa.RecordBatch]",
) -> None:
    """Makes a table of Arrow batches; only a few of them are in memory at once."""
    database.register("incoming", schema.empty_table())
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM incoming")
    for batch in batches:
        database.register("incoming", pa.Table.from_batches([batch], schema))
        database.execute(f"INSERT INTO {table} SELECT * FROM incoming")
    database.unregister("incoming")


def _json_batches(
    ledger: Ledger, column: str, schema: pa.Schema, num_rows: int, progress: Progress
) -> Iterator[pa.RecordBatch]:
    """Samples or provenance of all jobs that have them, kept or dropped since."""
    rows = ledger.db.execute(
        f"SELECT job_id, {column} FROM outcome WHERE {column} IS NOT NULL AND sample IS NOT NULL"
    )
    done = 0
    while part := rows.fetchmany(_ROWS_AT_ONCE):
        table = read_json_rows(
            [raw for _, raw in part],
            pa.schema(list(schema)[1:]),
            what=column,
            ignores_others=True,
        )
        jobs = pa.array([job for job, _ in part], pa.string())
        yield from table.add_column(0, _JOB, jobs).combine_chunks().to_batches()
        done += len(part)
        progress(f"{column} rows", done, num_rows)


def _batches(rows: "Iterator[dict[str, Any]]", schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        yield pa.RecordBatch.from_pylist(part, schema)


def _stamp(workspace: Workspace) -> str:
    """What tells one state of the workspace's files from another."""
    files_ = (
        workspace.ledger_path,
        workspace.images_dir / "images.sqlite",
        workspace.reviews_path,
        workspace.review_store_path,
    )
    parts = [f"version {_VERSION}"]
    for path in (each for file in files_ for each in (file, Path(f"{file}-wal"))):
        try:
            found = path.stat()
        except OSError:
            continue
        if found.st_size:
            parts.append(f"{path.name} {found.st_size} {found.st_mtime_ns}")
    return "; ".join(parts)


def _stamp_of(path: Path) -> str | None:
    """What a database was made from; None where there is none that can be read."""
    if not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True, config=_OPTIONS) as database:
            row = database.execute("SELECT stamp FROM made_from").fetchone()
    except duckdb.Error:
        return None
    return row[0] if row else None


def _sql(view: str) -> str:
    return files(__package__ or __name__).joinpath("views", f"{view}.sql").read_text("utf-8")
