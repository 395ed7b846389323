"""Chooses among more kept samples than needed: the shares exactly, the best, the most varied."""

# pyright: standard, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow ships no types, and makes its compute functions at import

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builder.ledger.evaluation_sets import drop_matches
from builder.ledger.json_rows import read_json_rows
from builder.ledger.ledger import Ledger
from schemas.vocabulary import Slot

#: What the second sample with the same picture or instruction has to be better by, of a quality
#: between 0 and 1, is this times ln 2: about one point of one of the four scores.
REPEAT_COST = 0.1
_ROWS_AT_ONCE = 50_000
_TEXT = pa.string()
#: What the choice looks at.
CANDIDATE_SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("id", "task_type", "modality", "language", "instruction")),
        *((name, _TEXT) for name in ("query_image", "positive_image")),
        *((name, pa.int8()) for name in ("relevance", "plausibility", "clarity", "diversity")),
        ("alignment", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Samples to choose from.

    Args:
        job_ids: Of each.
        is_kept: Whether it is kept now, or was set aside as surplus.
        samples: What the choice looks at, in the same order.
    """

    job_ids: pa.ChunkedArray
    is_kept: np.ndarray
    samples: pa.Table

    def __len__(self) -> int:
        return self.samples.num_rows


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Args:
        is_chosen: Of each candidate.
        short: Samples that a slot has too few candidates for, by slot.
    """

    is_chosen: np.ndarray
    short: dict[Slot, int]

    @property
    def num(self) -> int:
        return int(self.is_chosen.sum())


@dataclass(frozen=True, slots=True)
class ChoiceFigures:
    """How good and varied some samples are."""

    num: int
    quality: float
    num_images: int
    num_instructions: int


def read_candidates(ledger: Ledger) -> Candidates:
    """Kept samples, and those that only too many of their slot set aside, in job order."""
    rows = ledger.db.execute(
        "SELECT job_id, reason IS NULL, sample FROM outcome "
        "WHERE (reason IS NULL OR reason = 'surplus') AND sample IS NOT NULL ORDER BY round, idx"
    )
    jobs: list[pa.Array] = []
    tables: list[pa.Table] = []
    kept: list[int] = []
    while part := rows.fetchmany(_ROWS_AT_ONCE):
        job_ids, is_kept, samples = zip(*part, strict=True)
        jobs.append(pa.array(job_ids, _TEXT))
        kept.extend(is_kept)
        table = read_json_rows(samples, CANDIDATE_SCHEMA, ignores_others=True)
        tables.append(table.select(CANDIDATE_SCHEMA.names))
    job_ids = pa.chunked_array(jobs, _TEXT)
    table = pa.concat_tables(tables) if tables else CANDIDATE_SCHEMA.empty_table()
    return Candidates(job_ids, np.array(kept, np.bool_), table)


def choose(
    samples: pa.Table, wanted: dict[Slot, int], seed: int = 0, repeat_cost: float = REPEAT_COST
) -> Choice:
    """The samples that meet the shares: of each slot the best, what repeats others last.

    Quality is the mean of the four scores, and of the alignment where there is one. A picture is
    the query's, or the positive's where the query has none.

    Args:
        samples: With the columns of `Candidates.samples`.
        wanted: Samples by slot.
        seed: Decides between equals.
        repeat_cost: See `REPEAT_COST`; 0 looks at quality alone.
    """
    slots = list(wanted)
    numbers = pa.table(
        {
            **{
                name: pa.array([slot[place] for slot in slots], _TEXT)
                for place, name in enumerate(("task_type", "modality", "language"))
            },
            "slot": pa.array(range(len(slots)), pa.int32()),
            "num": pa.array(wanted.values(), pa.int64()),
        }
    )
    places = samples.append_column("place", pa.array(np.arange(samples.num_rows)))
    with duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": 2,
        }
    ) as database:
        database.register("sample", places)
        database.register("wanted", numbers)
        seeded = {"seed": str(seed)}
        database.execute(f"CREATE TEMP TABLE candidate AS {_sql('candidates')}", seeded)
        cost = {"repeat_cost": repeat_cost}
        found: dict[str, Any] = database.execute(_sql("choose"), cost).fetchnumpy()
        num_in = dict(
            database.execute("SELECT slot, count(*) FROM candidate GROUP BY slot").fetchall()
        )
    is_chosen = np.zeros(samples.num_rows, np.bool_)
    is_chosen[np.asarray(found["place"], np.int64)] = True
    lacking = {
        slot: num - num_in.get(number, 0) for number, (slot, num) in enumerate(wanted.items())
    }
    return Choice(is_chosen, {slot: num for slot, num in lacking.items() if num > 0})


def figures_of(samples: pa.Table, mask: np.ndarray | None = None) -> ChoiceFigures:
    """Mean quality, different pictures and instructions of the samples, or of some of them."""
    part = samples if mask is None else samples.filter(pa.array(mask))
    scores = [pc.mean(part[name]).as_py() or 0.0 for name in _SCORES]
    images = pc.coalesce(part["query_image"], part["positive_image"])
    return ChoiceFigures(
        part.num_rows,
        sum(scores) / len(scores),
        pc.count_distinct(images).as_py(),
        pc.count_distinct(part["instruction"]).as_py(),
    )


def apply_choice(ledger: Ledger, candidates: Candidates, choice: Choice) -> tuple[int, int]:
    """Sets aside what was not chosen as surplus, and keeps what was; returns how many of each.

    Nothing is lost: the samples stay in the ledger, and can be chosen again. What an evaluation set
    holds stays out.
    """
    aside = candidates.is_kept & ~choice.is_chosen
    back = ~candidates.is_kept & choice.is_chosen
    with ledger.transaction():
        for mask, reason in ((aside, "surplus"), (back, None)):
            jobs = candidates.job_ids.filter(pa.array(mask)).to_pylist()
            ledger.db.executemany(
                "UPDATE outcome SET reason = ? WHERE job_id = ?", [(reason, job) for job in jobs]
            )
    drop_matches(ledger)
    return int(aside.sum()), int(back.sum())


_SCORES = ("relevance", "plausibility", "clarity", "diversity")


@cache
def _sql(name: str) -> str:
    return files(__package__ or __name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
