"""How many planted mistakes the checks find, kind by kind, and how many sound rows they drop.

    python -m benchmarks.planted_defects [--num 2000]

Sound rows in 92 languages are composed from the demo's lexicon, a seventh of them are sentences.
Beside them stand rows with one mistake each: of every kind 5 % of their number. All pass through
what `build` and `reparse` run: the reader of replies, the row checks and the rules over the whole
set, with every option on. Precision is given twice: over all rows, where mistakes are common, and
at 5 % mistakes in all, as in a set from a good model. Mistakes of meaning are not for these checks;
`benchmarks.scoring` measures them.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.planted_kinds import KINDS, UNSAFE_WORDS, Kind
from benchmarks.planted_rows import Row, sound_rows
from builder.checks.whole_set import find_drops
from builder.checks_config import ChecksConfig
from builder.config import BuildConfig
from builder.endpoint.completion import Completion, Usage
from builder.generate.outcome import OutcomeMaker
from builder.generate.reply import Unreadable, read_reply
from builder.images.store import ImageRecord

SHARE = 0.05
CHECKS = ChecksConfig(
    near_duplicate_similarity=0.85,
    personal_data=("email", "phone", "card"),
    unsafe_words=UNSAFE_WORDS,
    max_instruction_repeats=5,
)


@dataclass(slots=True)
class Found:
    """What became of the rows.

    Args:
        num_sound: Sound rows.
        dropped_sound: Why sound rows were dropped: (reason, language) and how often.
        num_planted: Planted rows by kind.
        reasons: Why planted rows were dropped, by kind.
        missed: Rows that were kept, by kind.
    """

    num_sound: int = 0
    dropped_sound: Counter[tuple[str, str]] = field(default_factory=Counter)
    num_planted: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    missed: dict[str, list[Row]] = field(default_factory=dict)

    def recall(self, kind: str) -> float:
        return self.reasons[kind].total() / self.num_planted[kind]

    @property
    def recall_of_all(self) -> float:
        return self._num_found / self.num_planted.total()

    @property
    def false_alarms(self) -> float:
        """Share of the sound rows that were dropped."""
        return self.dropped_sound.total() / self.num_sound

    @property
    def precision(self) -> float:
        """Share of the dropped rows that have a mistake, over these rows."""
        return self._num_found / (self._num_found + self.dropped_sound.total())

    def precision_at(self, share: float) -> float:
        """The same in a set where this share of the rows has a mistake."""
        right = share * self.recall_of_all
        return right / (right + (1 - share) * self.false_alarms)

    @property
    def _num_found(self) -> int:
        return sum(reasons.total() for reasons in self.reasons.values())


def plant_and_check(num: int, seed: int = 1, kinds: Sequence[Kind] = KINDS) -> Found:
    """Plants mistakes beside sound rows, and runs every check over all of them.

    Args:
        num: Sound rows; of each kind of mistake there are 5 % as many.
        seed: Decides rows and mistakes.
        kinds: Which mistakes.
    """
    sound = list(sound_rows(num, seed))
    rows = [("", row) for row in sound]
    rows += _planted(sound, max(1, round(SHARE * num)), seed, kinds)
    reasons = check(row for _, row in rows)
    found = Found(num_sound=len(sound), reasons={kind.name: Counter() for kind in kinds})
    for (kind, row), reason in zip(rows, reasons, strict=True):
        if kind:
            found.num_planted[kind] += 1
            if reason is None:
                found.missed.setdefault(kind, []).append(row)
            else:
                found.reasons[kind][reason] += 1
        elif reason is not None:
            found.dropped_sound[reason, row.job.language] += 1
    return found


def _planted(
    sound: list[Row], num_each: int, seed: int, kinds: Sequence[Kind]
) -> Iterator[tuple[str, Row]]:
    rng = Random(seed)
    pool = list(sound_rows(2 * num_each * len(kinds), seed, spare=True))
    rng.shuffle(pool)
    # Those that only sentences can have come first, as there are fewer of these.
    for kind in kinds:
        given = 0
        left: list[Row] = []
        while given < num_each and pool:
            row = pool.pop()
            planted = kind.plant(row, sound, rng)
            if planted is None:
                left.append(row)
                continue
            given += 1
            yield kind.name, planted
        pool += left
        rng.shuffle(pool)


def check(rows: Iterator[Row]) -> list[str | None]:
    """Why each row is dropped; None where it is kept."""
    maker = OutcomeMaker(BuildConfig(checks=CHECKS), _no_image)
    reasons: list[str | None] = []
    kept: list[tuple[str, dict[str, Any]]] = []
    for place, row in enumerate(rows):
        reason, sample = _check_row(row, maker)
        reasons.append(reason)
        if sample is not None:
            kept.append((str(place), sample))
    for place, reason in find_drops(kept, CHECKS).items():
        reasons[int(place)] = reason
    return reasons


def _check_row(row: Row, maker: OutcomeMaker) -> tuple[str | None, dict[str, Any] | None]:
    content = row.content if row.content is not None else orjson.dumps(row.reply).decode()
    read = read_reply(row.job.cell, Completion(content, row.finish_reason, None, Usage()))
    if isinstance(read, Unreadable):
        return read.reason, None
    checked = maker.check(row.job, read)
    if checked.report.reason is not None:
        return checked.report.reason, None
    try:
        return None, maker.sample(row.job, checked).model_dump(mode="json")
    except ValidationError:
        return "contract", None


def _no_image(sha256: str) -> ImageRecord:
    raise AssertionError("no provenance is written, so no image is needed")


def table(found: Found) -> Table:
    """Recall by kind, and what the checks said."""
    shown = Table(title="Planted mistakes", title_justify="left")
    for name in ("mistake", "rows", "found, %", "reasons"):
        shown.add_column(name, justify="right" if name in ("rows", "found, %") else "left")
    for kind, num in found.num_planted.items():
        reasons = ", ".join(
            f"{reason} {count}" for reason, count in found.reasons[kind].most_common(3)
        )
        shown.add_row(kind, f"{num:,}", f"{100 * found.recall(kind):.1f}", reasons)
    shown.add_section()
    all_rows = f"{found.num_planted.total():,}"
    shown.add_row("all of them", all_rows, f"{100 * found.recall_of_all:.1f}", "")
    wrongly: Counter[str] = Counter()
    for (reason, _), count in found.dropped_sound.items():
        wrongly[reason] += count
    said = ", ".join(f"{reason} {count}" for reason, count in wrongly.most_common(4))
    shown.add_row(
        "sound rows dropped", f"{found.num_sound:,}", f"{100 * found.false_alarms:.2f}", said
    )
    shown.add_row("precision over these rows", "", f"{100 * found.precision:.1f}", "")
    shown.add_row(
        f"precision at {SHARE:.0%} mistakes", "", f"{100 * found.precision_at(SHARE):.1f}", ""
    )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num", type=int, default=2_000, help="sound rows")
    parser.add_argument("--missed", action="store_true", help="print rows that were missed")
    options = parser.parse_args()
    found = plant_and_check(options.num)
    console = Console(width=110)
    console.print(table(found))
    console.print(describe_machine(), highlight=False)
    if options.missed:
        for kind, rows in found.missed.items():
            for row in rows[:4]:
                console.print(kind, row.job.language, row.texts, markup=False)
        console.print(dict(found.dropped_sound))


if __name__ == "__main__":
    main()
