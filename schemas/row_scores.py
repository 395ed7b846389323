"""What an embedding model said of a version's rows: a file of the release, beside its shards.

A version has the file where its workspace was scored; others lack it, and so do the rows that
could not be scored. Its shards are the same with and without.
"""

# pyarrow ships no types: what comes of it is unknown, everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import PolysceneError

ROW_SCORES_NAME = "scores.parquet"

#: Which text of a row a model takes for a mistake: what should fit, or what should not.
SuspectedPart = Literal["positive", "negative"]

_RANKS = ("picture_rank", "num_ranked")  # versions made before 2026-11-28 lack them
#: `alignment` as in the row, `margin` the cosine of text and picture less that of the hard
#: negative, `negative_match` how much better the hard negative fits its row's own group of
#: pictures than any other. `picture_rank` is the place, 1 the first, at which the text finds its
#: own picture among those of `num_ranked` groups. `review_rank` counts from 0, the likeliest
#: mistake first; it is null where nothing is suspected.
ROW_SCORES_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        *((name, pa.float64()) for name in ("alignment", "margin", "negative_match")),
        *((name, pa.int32()) for name in _RANKS),
        ("suspected", pa.string()),
        ("review_rank", pa.int32()),
    ]
)


class RowScoresError(PolysceneError):
    """A version's file of scores is damaged."""


def write_row_scores(directory: Path, table: pa.Table) -> None:
    """Writes a version's scores, columns as in `ROW_SCORES_SCHEMA`, in order of id."""
    table = table.cast(ROW_SCORES_SCHEMA).sort_by("id")
    pq.write_table(table, directory / ROW_SCORES_NAME, compression="zstd")


def read_row_scores(directory: Path) -> pa.Table | None:
    """A version's scores; None where it has none.

    Raises:
        RowScoresError: The file is damaged, or lacks a column.
    """
    path = directory / ROW_SCORES_NAME
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
        for name in _RANKS:
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(table.num_rows))
        return table.select(ROW_SCORES_SCHEMA.names).cast(ROW_SCORES_SCHEMA)
    except (OSError, KeyError, pa.ArrowException) as exc:
        raise RowScoresError(
            f"{path}: not a readable file of scores ({str(exc).splitlines()[0]}). "
            "Fetch or release the version again."
        ) from exc


def read_review_ranks(directory: Path) -> dict[str, int]:
    """Ranks of a version's suspected rows by id, the first to look at first.

    Raises:
        RowScoresError: The file of scores is damaged.
    """
    table = read_row_scores(directory)
    if table is None:
        return {}
    ids: list[str] = table["id"].to_pylist()
    ranks: list[int | None] = table["review_rank"].to_pylist()
    found = [(rank, id_) for id_, rank in zip(ids, ranks, strict=True) if rank is not None]
    return {id_: rank for rank, id_ in sorted(found)}
