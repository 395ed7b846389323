"""Errors that say what happened, where, and what to do; command lines print them as one line."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class PolysceneError(Exception):
    """Base of every error a user can meet; its message is complete and holds no secret."""


class RowError(PolysceneError):
    """A row breaks the contract.

    Args:
        what: What is wrong, as a clause: "`query_text` is empty".
        remedy: What to do, as a sentence.
        shard: File the row stands in, if it came from one.
        row_index: Zero-based position in that file.
        field: Column at fault.
        row_id: The row's `id`, if it has one.
    """

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "Regenerate or drop this row.",
        shard: str | None = None,
        row_index: int | None = None,
        field: str | None = None,
        row_id: str | None = None,
    ) -> None:
        self.what = what
        self.remedy = remedy
        self.shard = shard
        self.row_index = row_index
        self.field = field
        self.row_id = row_id
        where = shard or "row"
        if row_index is not None:
            where = f"{where}, row {row_index}" if shard else f"row {row_index}"
        if row_id is not None:
            where += f' (id "{row_id}")'
        super().__init__(f"{where}: {what}. {remedy}")


@contextmanager
def naming(path: Path) -> Generator[None, None, None]:
    """Has an `OSError` inside that names no file, as those of writing do, name this one."""
    try:
        yield
    except OSError as exc:
        if exc.filename is None:
            exc.filename = str(path)
        raise
