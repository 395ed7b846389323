"""Scores that a model gave kept samples, in a table of the ledger."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from builder.ledger.ledger import Ledger
from builder.ledger.transaction import ledger_error

#: Name of the note that says which model gave the scores, and by which rule.
SCORED_BY = "scored by"
#: Reason of samples that a gate on the scores drops.
LOW_ALIGNMENT = "low_alignment"

_TABLE = """CREATE TABLE IF NOT EXISTS score (
    sample_id TEXT PRIMARY KEY,
    language TEXT NOT NULL,
    score REAL NOT NULL,
    cosine REAL NOT NULL,
    margin REAL
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
    """

    sample_id: str
    language: str
    score: float
    cosine: float
    margin: float | None


def rows_to_score(ledger: Ledger) -> Iterator[tuple[bytes, bytes]]:
    """(sample, provenance) as JSON: of kept samples, and of those that a low score dropped.

    So scoring again finds the same, and a better model may let a sample back in.
    """
    yield from ledger.db.execute(
        "SELECT sample, provenance FROM outcome WHERE sample IS NOT NULL "
        "AND (reason IS NULL OR reason = ?) ORDER BY sample_id, job_id",
        (LOW_ALIGNMENT,),
    )


def write_scores(ledger: Ledger, scores: Iterable[Score], scored_by: str) -> None:
    """Puts scores in the place of all earlier ones, or leaves those if it is cut off."""
    rows = ((s.sample_id, s.language, s.score, s.cosine, s.margin) for s in scores)
    with ledger.transaction():
        ledger.db.execute(_TABLE)
        ledger.db.execute("DELETE FROM score")
        ledger.db.executemany("INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?, ?)", rows)
        ledger.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (SCORED_BY, scored_by))


def read_scores(ledger: Ledger) -> dict[str, float]:
    """Score by sample id; empty where nothing was scored."""
    return dict(_rows(ledger, "SELECT sample_id, score FROM score"))


def drop_lowest(ledger: Ledger, share: float | None) -> dict[str, int]:
    """Drops the kept samples with the lowest scores, and keeps again those no longer among them.

    One bound holds for all languages: on the demo it finds more mistakes than one for each.

    Args:
        ledger: An open ledger.
        share: Of all that were scored; None drops none.

    Returns:
        The number of samples dropped for their score, by reason; nothing without scores.
    """
    if ledger.meta(SCORED_BY) is None:
        return {}
    num = int((share or 0.0) * _rows(ledger, "SELECT count(*) FROM score")[0][0])
    with ledger.transaction():
        ledger.db.execute(
            "UPDATE outcome SET reason = NULL WHERE reason = ? AND sample IS NOT NULL",
            (LOW_ALIGNMENT,),
        )
        ledger.db.execute(
            "UPDATE outcome SET reason = ? WHERE reason IS NULL AND sample_id IN "
            "(SELECT sample_id FROM score ORDER BY score, sample_id LIMIT ?)",
            (LOW_ALIGNMENT, num),
        )
    return {LOW_ALIGNMENT: ledger.drop_counts().get(LOW_ALIGNMENT, 0)}


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
