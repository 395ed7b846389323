"""How often `compare` finds a difference that is there, and one that is not.

    python -m benchmarks.compare_power demo/workspace/releases/0.2.0 --output power

Every repeat makes two versions out of one and compares them as `trainer compare` does, with heads
above frozen towers and few steps, so that a training takes seconds:

- equal: its training rows dealt into two halves at random, no row in both;
- shuffled: as it is, against 20 % of its rows with one another's positives;
- languages: as it is, against two thirds of its languages left out, English kept.

A repeat has splits, shuffles and seeds of its own; figures are for the first three of its seeds
and for all five, or as `--num-seeds` says. Repeats that were done before are taken from `--output`.
"""

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from trainer.compare.arms import Arm, Contrast, Plan
from trainer.compare.config import CompareConfig
from trainer.compare.finished_runs import FinishedRuns
from trainer.compare.held_out import SharedSplit
from trainer.compare.run import Comparison, run_plan
from trainer.compare.statistics import Difference, difference
from trainer.config import ModelConfig, TrainConfig
from trainer.data.corpus import Corpus, load_corpus
from trainer.data.image_store import ImageStore
from trainer.data.items import Row
from trainer.encoders.choice import make_encoder

SEEDS_PER_REPEAT = 5
SHUFFLED_SHARE = 0.2
DROPPED_SHARE = 2 / 3  # 60 of 92

#: The first version's rows and the second's, of one version's rows.
_Change = Callable[[Sequence[Row], np.random.Generator], tuple[list[Row], list[Row]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", help="a release directory or OWNER/NAME@X.Y.Z")
    parser.add_argument("--output", type=Path, required=True, help="keeps finished trainings")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--model", default="compact")
    parser.add_argument(
        "--num-seeds", type=int, nargs="+", default=(3, 5), choices=range(3, SEEDS_PER_REPEAT + 1)
    )
    parser.add_argument("--kinds", nargs="+", choices=[*_CHANGES], default=[*_CHANGES])
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("trainer.compare").setLevel(logging.INFO)
    images = ImageStore()
    validation = load_corpus(options.dataset, "validation", images=images)
    train = load_corpus(validation.version, "train", images=images)
    config = CompareConfig(
        train=TrainConfig(
            dataset=options.dataset,
            model=ModelConfig(name=options.model),
            num_steps=options.steps,
            batch_size=options.batch_size,
        ),
        versions=(options.dataset,),
    )
    console = Console(width=100)
    console.print(f"{describe_machine()}")
    console.print(
        f"{train.version.label}, {len(train.rows):,} training rows; model {options.model}, "
        f"{options.steps} steps of {options.batch_size}; {options.repeats} repeats of each kind"
    )
    finished = FinishedRuns(options.output)
    for name in options.kinds:
        found: dict[int, list[Difference]] = {num: [] for num in options.num_seeds}
        for repeat in range(options.repeats):
            start = repeat * SEEDS_PER_REPEAT
            seeded = config.model_copy(
                update={"seeds": tuple(range(start, start + max(options.num_seeds)))}
            )
            comparison = _repeat(seeded, _CHANGES[name], repeat, train, validation, finished)
            for num in options.num_seeds:
                first, second = (
                    comparison.arms[arm].influence_SU[:num] for arm in ("first", "second")
                )
                found[num].append(difference(first, second))
        console.print(_table(name, found))


def _repeat(
    config: CompareConfig,
    change: _Change,
    repeat: int,
    train: Corpus,
    validation: Corpus,
    finished: FinishedRuns,
) -> Comparison:
    """One comparison of two versions made out of one."""
    first, second = change(train.rows, np.random.default_rng([repeat, 7]))
    arms = (
        Arm("first", train if first == train.rows else replace(train, rows=first)),
        Arm("second", replace(train, rows=second)),
    )
    return run_plan(
        config,
        Plan(arms, (Contrast("first", "second"),)),
        SharedSplit([train], validation),
        make_encoder,
        finished,
    )


def _halve(rows: Sequence[Row], generator: np.random.Generator) -> tuple[list[Row], list[Row]]:
    is_first = np.zeros(len(rows), dtype=bool)
    is_first[generator.permutation(len(rows))[: len(rows) // 2]] = True
    return (
        [row for row, first in zip(rows, is_first, strict=True) if first],
        [row for row, first in zip(rows, is_first, strict=True) if not first],
    )


def _shuffle(rows: Sequence[Row], generator: np.random.Generator) -> tuple[list[Row], list[Row]]:
    """Positives change places within their cell; hard negatives stay."""
    changed = list(rows)
    for cell in sorted({row.cell for row in rows}):
        members = np.array([number for number, row in enumerate(rows) if row.cell == cell])
        chosen = generator.choice(members, int(SHUFFLED_SHARE * len(members)), replace=False)
        for number, other in zip(chosen, generator.permutation(chosen), strict=True):
            changed[number] = replace(rows[number], positive=rows[other].positive)
    return list(rows), changed


def _drop(rows: Sequence[Row], generator: np.random.Generator) -> tuple[list[Row], list[Row]]:
    languages = sorted({row.language for row in rows} - {"en"})
    num_dropped = int(DROPPED_SHARE * len(languages))
    dropped = {*generator.choice(languages, num_dropped, replace=False).tolist()}
    return list(rows), [row for row in rows if row.language not in dropped]


#: What makes two versions out of one, by the name of the kind.
_CHANGES: dict[str, _Change] = {"equal": _halve, "shuffled": _shuffle, "languages": _drop}


def _table(name: str, found: dict[int, list[Difference]]) -> Table:
    table = Table(title=f"{name}: first version minus second, recall@10")
    table.add_column("repeat", justify="right")
    for num in found:
        table.add_column(f"{num} seeds", justify="right")
        table.add_column("95 % interval", justify="right")
        table.add_column("found", justify="right")
    for repeat, entries in enumerate(zip(*found.values(), strict=True)):
        cells: list[str] = []
        for entry in entries:
            low, high = entry.interval
            cells += [
                f"{entry.mean:+.3f}",
                f"{low:.3f} to {high:.3f}",
                "yes" if entry.is_found else "",
            ]
        table.add_row(str(repeat + 1), *cells)
    table.add_section()
    totals: list[str] = []
    for entries in found.values():
        num_found = sum(entry.is_found for entry in entries)
        totals += ["", "", f"{num_found} of {len(entries)}"]
    table.add_row("", *totals)
    return table


if __name__ == "__main__":
    main()
