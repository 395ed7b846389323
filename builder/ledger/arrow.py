"""The ledger's outcomes as an Arrow table, read without their rows' contents."""

import sqlite3
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from builder.plan.shares import Slot
from schemas.errors import PolysceneError

_ROWS_AT_ONCE = 50_000
_DICTIONARY = pa.dictionary(pa.int32(), pa.string())
#: The columns that balancing looks at, in the ledger's own order and names.
OUTCOME_SCHEMA = pa.schema(
    [
        ("job_id", pa.string()),
        ("round", pa.int32()),
        ("idx", pa.int32()),
        ("task_type", _DICTIONARY),
        ("modality", _DICTIONARY),
        ("language", _DICTIONARY),
        ("reason", _DICTIONARY),
    ]
)


class OutcomeError(PolysceneError):
    """The ledger's outcomes cannot be read."""


def read_outcomes(ledger_path: Path, since_round: int = 0) -> pa.Table:
    """Outcomes, kept and dropped, in no particular order.

    May be called during a build: it never blocks the ledger's writer.

    Args:
        ledger_path: The SQLite file.
        since_round: Only outcomes of this round and later ones.

    Raises:
        OutcomeError: The ledger is missing or damaged.
    """
    names = ", ".join(OUTCOME_SCHEMA.names)
    batches: list[pa.RecordBatch] = []
    with _open(ledger_path) as database:
        query = f"SELECT {names} FROM outcome WHERE round >= ?"
        cursor = database.execute(query, [since_round])
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(values, type=field.type)
                for values, field in zip(columns, OUTCOME_SCHEMA, strict=True)
            ]
            batches.append(pa.record_batch(arrays, schema=OUTCOME_SCHEMA))
    return pa.Table.from_batches(batches, schema=OUTCOME_SCHEMA).unify_dictionaries()


def read_counts(ledger_path: Path) -> tuple[Counter[Slot], Counter[Slot]]:
    """Accepted samples, and jobs kept or dropped, of each slot.

    Raises:
        OutcomeError: The ledger is missing or damaged.
    """
    accepted: Counter[Slot] = Counter()
    tried: Counter[Slot] = Counter()
    with _open(ledger_path) as database:
        rows = database.execute(
            "SELECT task_type, modality, language, reason IS NULL, count(*) FROM outcome "
            "GROUP BY 1, 2, 3, 4"
        )
        for task_type, modality, language, is_kept, count in rows:
            tried[task_type, modality, language] += count
            if is_kept:
                accepted[task_type, modality, language] += count
    return accepted, tried


def last_round(ledger_path: Path) -> int:
    """The latest round with an outcome; -1 where there is none."""
    with _open(ledger_path) as database:
        found = database.execute("SELECT max(round) FROM outcome").fetchone()[0]
    return -1 if found is None else int(found)


@contextmanager
def _open(path: Path) -> Generator[sqlite3.Connection, None, None]:
    """Opens the ledger for reading and turns SQLite's errors into ours."""
    if not path.exists():
        raise OutcomeError(f"{path}: no such ledger. Run `python -m builder build`.")
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        yield database
    except sqlite3.Error as exc:
        raise OutcomeError(
            f"{path}: not readable as a ledger ({exc}). Restore it from a backup."
        ) from exc
    finally:
        database.close()
