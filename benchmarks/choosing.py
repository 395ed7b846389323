"""Chooses 560,000 of 1,000,000 samples and measures their coverage; prints what it took.

    python -m benchmarks.choosing [--num 560000] [--num-candidates 1000000]

Candidates are drawn: uneven languages, 50,000 pictures, one instruction in four used before, four
scores. Reading them from a ledger is timed apart, over a part of them.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, peak_memory_mib
from builder.balance import balance_of
from builder.balance.choose import choose, figures_of, read_candidates
from builder.config import BuildConfig
from builder.ledger.arrow import OUTCOME_SCHEMA
from builder.ledger.ledger import Ledger
from builder.plan.shares import targets_of

_NUM_IMAGES = 50_000
_LEDGER_ROWS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=560_000)
    parser.add_argument("--num-candidates", type=int, default=1_000_000)
    args = parser.parse_args()
    config = BuildConfig(num_samples=args.num)
    wanted = targets_of(config).by_slot
    samples = drawn_samples(wanted, args.num_candidates)
    table = Table("step", "seconds", "CPU seconds", "result", title=describe_machine())

    begin, cpu = time.perf_counter(), time.process_time()
    choice = choose(samples, wanted, seed=1)
    table.add_row("choose", *_took(begin, cpu), f"{choice.num:,} of {len(samples):,}")
    plain = choose(samples, wanted, seed=1, repeat_cost=0)
    for name, mask in (("all", None), ("chosen", choice.is_chosen), ("by score", plain.is_chosen)):
        figures = figures_of(samples, mask)
        table.add_row(
            name,
            "",
            "",
            f"score {figures.quality:.3f}, {figures.num_images:,} pictures, "
            f"{figures.num_instructions:,} instructions",
        )

    outcomes = outcomes_of(samples)
    balance_of(config, outcomes)
    begin, cpu = time.perf_counter(), time.process_time()
    balance = balance_of(config, outcomes)
    table.add_row("coverage", *_took(begin, cpu), f"{balance.num_accepted:,} rows accepted")

    num = min(_LEDGER_ROWS, len(samples))
    table.add_row(f"read {num:,} from a ledger", *seconds_to_read(samples.slice(0, num)), "")
    table.add_row("peak memory", "", "", f"{peak_memory_mib():,.0f} MiB")
    Console(width=110).print(table)


def _took(begin: float, cpu: float) -> tuple[str, str]:
    """Wall and CPU seconds since then."""
    return f"{time.perf_counter() - begin:.2f}", f"{time.process_time() - cpu:.2f}"


def drawn_samples(wanted: dict[tuple[str, str, str], int], num: int) -> pa.Table:
    """Samples over the slots wanted, more in some than in others."""
    random = np.random.default_rng(0)
    slots = list(wanted)
    weights = np.array([wanted[slot] for slot in slots]) * random.uniform(1.0, 1.4, len(slots))
    slot_N = random.choice(len(slots), num, p=weights / weights.sum())
    images = np.array([f"{number:064x}" for number in range(_NUM_IMAGES)])
    instruction_N = np.where(
        random.random(num) < 0.25, random.integers(0, 5_000, num), np.arange(num)
    )
    scores = {
        name: pa.array(random.integers(2, 6, num), pa.int8())
        for name in ("relevance", "plausibility", "clarity", "diversity")
    }
    return pa.table(
        {
            "id": pa.array([f"{number:024x}" for number in range(num)]),
            **{
                name: pa.array(np.array([slot[place] for slot in slots])[slot_N])
                for place, name in enumerate(("task_type", "modality", "language"))
            },
            "instruction": pa.array([f"Find what fits, case {n}." for n in instruction_N.tolist()]),
            "query_image": pa.array(images[random.zipf(1.2, num) % _NUM_IMAGES]),
            "positive_image": pa.nulls(num, pa.string()),
            **scores,
            "alignment": pa.array(random.random(num)),
        }
    )


def outcomes_of(samples: pa.Table) -> pa.Table:
    """The same as outcomes, one in twenty dropped."""
    num = samples.num_rows
    reason = pa.array([None if number % 20 else "answer_leak" for number in range(num)])
    columns = {
        "job_id": samples["id"],
        "round": pa.array(np.zeros(num, np.int32)),
        "idx": pa.array(np.arange(num, dtype=np.int32)),
        **{name: samples[name] for name in ("task_type", "modality", "language")},
        "reason": reason,
    }
    return pa.table(columns).cast(OUTCOME_SCHEMA)


def seconds_to_read(samples: pa.Table) -> tuple[str, str]:
    """Wall and CPU seconds to read candidates from a ledger that holds such samples."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Ledger(Path(directory) / "ledger.sqlite", create=True) as ledger,
    ):
        with ledger.transaction():
            ledger.db.executemany(
                "INSERT INTO outcome VALUES (?,0,?,?,?,?,?,NULL,NULL,?,NULL)",
                (
                    (
                        *(row["id"], index, row["task_type"], row["modality"]),
                        *(row["language"], row["id"]),
                        orjson.dumps({**row, "positive_text": "a" * 200, "negative_texts": []}),
                    )
                    for index, row in enumerate(samples.to_pylist())
                ),
            )
        begin, cpu = time.perf_counter(), time.process_time()
        read_candidates(ledger)
        return _took(begin, cpu)


if __name__ == "__main__":
    main()
