"""What a judge chose among each sample's positive and its hard negatives, and what that is worth.

The candidates are shown in an order drawn for each sample. A judge that does not look at them,
such as one that always takes the first, hits the positive no more often than chance would: its
choices say nothing, so no sample is dropped for them.

Judges of models prefer places: Zheng et al. 2023, arXiv:2306.05685, section 3.3.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Any

from builder.ledger.ledger import Ledger
from builder.ledger.transaction import ledger_error

#: Reasons of samples whose hard negative the judge chose, or called right beside the positive.
PREFERS_NEGATIVE = "judge_prefers_negative"
ACCEPTS_NEGATIVE = "judge_accepts_negative"
#: Two-sided 95 %.
_Z = 1.959964
#: A judge that calls a negative right in a greater share of samples does not tell them apart.
_MAX_ACCEPTED_SHARE = 0.8
#: Fewer choices say little of the judge.
MIN_CHOICES = 20


@dataclass(frozen=True, slots=True)
class MadeChoice:
    """A judge's choice about one sample.

    Args:
        sample_id: The sample; its id covers the texts and images that were shown.
        model: The judge.
        language: Code of the sample's language.
        order: Candidates in the order shown: 0 is the positive, hard negatives follow.
        best: The candidate it chose.
        also_right: Candidates it calls right as well.
    """

    sample_id: str
    model: str
    language: str
    order: tuple[int, ...]
    best: int
    also_right: tuple[int, ...] = ()

    @property
    def position(self) -> int:
        """Where the chosen candidate stood, from 0."""
        return self.order.index(self.best)

    @property
    def prefers_negative(self) -> bool:
        return self.best != 0

    @property
    def accepts_negative(self) -> bool:
        """Whether a hard negative is called right beside the positive."""
        return self.best == 0 and any(candidate != 0 for candidate in self.also_right)

    @property
    def row(self) -> tuple[str, str, str, str, int, str]:
        """As the ledger holds it."""
        order, also = (",".join(map(str, part)) for part in (self.order, self.also_right))
        return self.sample_id, self.model, self.language, order, self.best, also


def shuffled_order(sample_id: str, num_candidates: int) -> tuple[int, ...]:
    """The order in which a sample's candidates are shown, always the same for the same sample."""
    order = list(range(num_candidates))
    Random(f"{sample_id}|choice").shuffle(order)
    return tuple(order)


def read_choices(ledger: Ledger) -> list[MadeChoice]:
    """Every choice, in order of sample id; an id covers the texts and images that were shown."""
    query = (
        "SELECT sample_id, model, language, candidate_order, best, also_right FROM choice "
        "ORDER BY sample_id"
    )
    rows = _rows(ledger, query)
    return [
        MadeChoice(sample_id, model, language, _numbers(order), best, _numbers(also))
        for sample_id, model, language, order, best, also in rows
    ]


def summary_of_choices(ledger: Ledger) -> str:
    """How much each judge has said, in a few words that change when there is more or other."""
    query = (
        "SELECT model, count(*), sum(best <> 0), sum(also_right <> '') FROM choice "
        "GROUP BY model ORDER BY model"
    )
    rows = _rows(ledger, query)
    return "; ".join(" ".join(map(str, row)) for row in rows)


def _rows(ledger: Ledger, query: str) -> list[Any]:
    try:
        return ledger.db.execute(query).fetchall()
    except sqlite3.Error as exc:
        raise ledger_error(ledger.path, exc) from exc


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


@dataclass(frozen=True, slots=True)
class PositionShare:
    """How often the candidate at a position was chosen, and how often the positive stood there.

    Args:
        position: From 0.
        num: Choices with so many candidates at least.
        chosen: Share of them that took the candidate there.
        low: Lower end of the 95 % interval of `chosen`.
        high: Upper end.
        expected: Share in which the positive stood there.
    """

    position: int
    num: int
    chosen: float
    low: float
    high: float
    expected: float


@dataclass(frozen=True, slots=True)
class ChoiceReport:
    """What a judge's choices say of it.

    Args:
        num: Choices.
        hits: Share in which it chose the positive.
        chance: The share that a judge hits who does not look.
        low: Lower end of the 95 % interval of `hits`.
        high: Upper end.
        accepted: Share in which it called a hard negative right as well.
        positions: By position.
    """

    num: int
    hits: float
    chance: float
    low: float
    high: float
    accepted: float
    positions: tuple[PositionShare, ...]

    @property
    def is_informative(self) -> bool:
        """Whether it hits the positive more often than chance does, by the interval."""
        return self.num > 0 and self.low > self.chance

    @property
    def tells_apart(self) -> bool:
        """Whether "right as well" is said rarely enough to mean something."""
        return self.accepted <= _MAX_ACCEPTED_SHARE

    def problem(self, model: str) -> str | None:
        """What is wrong with the judge, where and what to do, in one line; None for nothing."""
        if not self.num:
            return None
        if not self.is_informative:
            if self.num < MIN_CHOICES:
                return (
                    f"judge {model} made {self.num} choices, too few to tell whether it looks at "
                    "the candidates, so no sample is dropped for them. Build more samples."
                )
            most = max(self.positions, key=lambda share: share.chosen - share.expected)
            return (
                f"judge {model} chose candidate {most.position + 1} in {most.chosen:.0%} of "
                f"{self.num} choices and hits the positive in {self.hits:.0%}, no more than chance "
                f"({self.chance:.0%}): its choices carry no information, so no sample is dropped "
                "for them. Name another model under `judge`, one that sees images and reads the "
                "languages."
            )
        if not self.tells_apart:
            return (
                f"judge {model} calls a hard negative right as well in {self.accepted:.0%} of "
                f"{self.num} choices: that carries no information, so only samples whose negative "
                "it prefers are dropped. Name another model under `judge`."
            )
        return None


def choice_report(choices: Iterable[MadeChoice]) -> ChoiceReport:
    """Hits, and picks by position, with intervals."""
    made = list(choices)
    num = len(made)
    hits = sum(not choice.prefers_negative for choice in made)
    low, high = wilson(hits, num)
    return ChoiceReport(
        num=num,
        hits=hits / max(1, num),
        chance=sum(1 / len(choice.order) for choice in made) / max(1, num),
        low=low,
        high=high,
        accepted=sum(choice.accepts_negative for choice in made) / max(1, num),
        positions=tuple(_positions(made)),
    )


def _positions(made: list[MadeChoice]) -> Iterable[PositionShare]:
    chosen = Counter(choice.position for choice in made)
    stood = Counter(choice.order.index(0) for choice in made)
    for position in range(max((len(choice.order) for choice in made), default=0)):
        num = sum(len(choice.order) > position for choice in made)
        low, high = wilson(chosen[position], num)
        yield PositionShare(
            *(position, num, chosen[position] / num, low, high, stood[position] / num)
        )


def wilson(num_hits: int, num: int) -> tuple[float, float]:
    """The 95 % interval of a share; 0 to 1 where nothing was counted.

    Source: Wilson 1927, JASA 22:209.
    """
    if not num:
        return 0.0, 1.0
    share, z2 = num_hits / num, _Z * _Z
    middle = (share + z2 / (2 * num)) / (1 + z2 / num)
    half = _Z / (1 + z2 / num) * sqrt(share * (1 - share) / num + z2 / (4 * num * num))
    return max(0.0, middle - half), min(1.0, middle + half)
