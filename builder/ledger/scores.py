"""Scores that a model gave kept samples, in a table of the ledger."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Literal

import orjson

from builder.ledger.ledger import Ledger
from builder.ledger.transaction import ledger_error

#: Name of the note that says which model gave the scores, and by which rule.
SCORED_BY = "scored by"
#: Reasons of samples that a gate on the scores drops.
LOW_ALIGNMENT = "low_alignment"
CLOSE_NEGATIVE = "negative_too_close"

_TABLE = """CREATE TABLE IF NOT EXISTS score (
    sample_id TEXT PRIMARY KEY,
    language TEXT NOT NULL,
    score REAL NOT NULL,
    cosine REAL NOT NULL,
    margin REAL,
    negative_match REAL,
    picture_rank INTEGER,
    num_ranked INTEGER
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Score:
    """How well the text of a sample fits its picture.

    Args:
        sample_id: The sample.
        language: Code of its language.
        score: By the rule that was used; the lower, the likelier a mistake.
        cosine: Of the text and the picture.
        margin: That less the hard negative's; None where the sample has none to compare.
        negative_match: How much better the hard negative's text fits its sample's own group of
            pictures than any other; the higher, the likelier it is right as well.
        picture_rank: At which place the text finds its own picture among those of all groups.
        num_ranked: How many those are.
    """

    sample_id: str
    language: str
    score: float
    cosine: float
    margin: float | None
    negative_match: float | None = None
    picture_rank: int | None = None
    num_ranked: int | None = None


#: Columns in the order of `Score`; earlier versions' tables lack some of the last ones.
_COLUMNS = tuple(field.name for field in fields(Score))


def rows_to_score(ledger: Ledger) -> Iterator[tuple[bytes, bytes]]:
    """(sample, provenance) as JSON: of kept samples, and of those that their scores dropped.

    So scoring again finds the same, and a better model may let a sample back in.
    """
    yield from ledger.db.execute(
        "SELECT sample, provenance FROM outcome WHERE sample IS NOT NULL "
        "AND (reason IS NULL OR reason IN (?, ?)) ORDER BY sample_id, job_id",
        (LOW_ALIGNMENT, CLOSE_NEGATIVE),
    )


def write_scores(ledger: Ledger, scores: Iterable[Score], scored_by: str) -> None:
    """Puts scores in the place of all earlier ones, or leaves those if it is cut off."""
    insert = f"INSERT OR REPLACE INTO score VALUES ({', '.join('?' * len(_COLUMNS))})"
    with ledger.transaction():
        ledger.db.execute("DROP TABLE IF EXISTS score")  # an earlier one may have fewer columns
        ledger.db.execute(_TABLE)
        ledger.db.executemany(insert, (astuple(score) for score in scores))
        ledger.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (SCORED_BY, scored_by))


def read_scores(ledger: Ledger) -> dict[str, float]:
    """Score by sample id; empty where nothing was scored."""
    return dict(_rows(ledger, "SELECT sample_id, score FROM score"))


def read_all_scores(ledger: Ledger) -> list[Score]:
    """Every score, in order of sample id; None for what an earlier version did not measure."""
    known = {row[1] for row in _rows(ledger, "PRAGMA table_info(score)")}
    columns = ", ".join(name if name in known else "NULL" for name in _COLUMNS)
    return [Score(*row) for row in _rows(ledger, f"SELECT {columns} FROM score ORDER BY 1")]


def drop_lowest(
    ledger: Ledger, share: float | None, by: Literal["all", "language"] = "all"
) -> dict[str, int]:
    """Drops the kept samples with the lowest scores, and keeps again those no longer among them.

    Args:
        ledger: An open ledger.
        share: Of all that were scored; None drops none.
        by: One bound for all languages, which on the demo finds more mistakes, or one for each.

    Returns:
        The number of samples dropped for their score, by reason; nothing without scores.
    """
    groups = {"all": "", "language": "PARTITION BY language"}[by]
    ranked = (
        f"SELECT sample_id FROM (SELECT sample_id, row_number() OVER ({groups} ORDER BY score, "
        f"sample_id) AS place, count(*) OVER ({groups}) AS num FROM score) "
        "WHERE place <= CAST(:share * num AS INTEGER)"
    )
    return _drop_scored(ledger, LOW_ALIGNMENT, ranked, {"share": share or 0.0})


def drop_close_negatives(
    ledger: Ledger, max_ratio: float | None, max_over_mean: float | None
) -> dict[str, int]:
    """Drops the kept samples whose hard negative may be right by its cosine to the picture.

    Args:
        ledger: An open ledger.
        max_ratio: The negative's cosine is at most this part of the positive's; None for any.
        max_over_mean: It exceeds the mean of the language's positives by at most this; None for
            whatever.

    Returns:
        Their number, by reason; nothing without scores.
    """
    close = (
        "SELECT sample_id FROM (SELECT sample_id, cosine, cosine - margin AS negative, "
        "avg(cosine) OVER (PARTITION BY language) AS mean FROM score WHERE margin IS NOT NULL) "
        "WHERE (:ratio IS NOT NULL AND negative > :ratio * cosine) "
        "OR (:over IS NOT NULL AND negative > mean + :over)"
    )
    return _drop_scored(ledger, CLOSE_NEGATIVE, close, {"ratio": max_ratio, "over": max_over_mean})


def _drop_scored(
    ledger: Ledger, reason: str, query: str, values: dict[str, float | None]
) -> dict[str, int]:
    """Drops the kept samples whose ids a query gives, and keeps again those it gave before."""
    if ledger.meta(SCORED_BY) is None:
        return {}
    with ledger.transaction():
        ledger.restore_dropped(reason)
        ledger.db.execute(
            f"UPDATE outcome SET reason = :reason WHERE reason IS NULL AND sample_id IN ({query})",
            {"reason": reason, **values},
        )
    return {reason: ledger.drop_counts().get(reason, 0)}


def with_alignment(
    rows: Iterable[tuple[bytes, bytes]], scores: Mapping[str, float]
) -> Iterable[tuple[bytes, bytes]]:
    """Kept rows (sample, provenance) whose `alignment` is the score, where there is one."""
    if not scores:
        return rows
    return ((_aligned(sample, scores), provenance) for sample, provenance in rows)


def _aligned(sample: bytes, scores: Mapping[str, float]) -> bytes:
    row = orjson.loads(sample)
    score = scores.get(row["id"])
    if score is None:
        return sample
    row["alignment"] = round(score, 4)
    return orjson.dumps(row)


def _rows(ledger: Ledger, query: str, values: tuple[int, ...] = ()) -> list[tuple]:
    if ledger.meta(SCORED_BY) is None:
        return []
    try:
        return ledger.db.execute(query, values).fetchall()
    except sqlite3.Error as exc:
        raise ledger_error(ledger.path, exc) from exc
