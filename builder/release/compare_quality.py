"""The three criteria of two versions side by side, and in a sentence what changed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from schemas.criteria import CRITERIA, CRITERION_TITLES, Figure, figures_of, has_criteria
from schemas.errors import PolysceneError

#: Smaller changes, as a share of the older figure, are not called better or worse.
_MIN_CHANGE = 0.01


class NoCriteriaError(PolysceneError):
    """A version's report lacks the three criteria."""


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """A figure of two versions; `change` is "better", "worse", "same" or "not comparable"."""

    old: Figure
    new: Figure
    change: str


@dataclass(frozen=True, slots=True)
class QualityDifference:
    """Two versions by name, and their figures in the same order."""

    old: str
    new: str
    figures: list[ComparedFigure]

    def sentence(self) -> str:
        """What got better and what got worse."""
        parts = [
            f"{word}: {', '.join(words)}"
            for word in ("Better", "Worse")
            if (words := list(self._changed(word.lower())))
        ]
        num = sum(figure.change == "not comparable" for figure in self.figures)
        said = ". ".join(parts) or "Nothing got better or worse by 1 % or more"
        missing = f" {num} figures were not measured in both." if num else ""
        return f"{said}.{missing}"

    def _changed(self, change: str) -> Iterator[str]:
        for figure in self.figures:
            if figure.change == change:
                yield f"{figure.new.name} ({figure.old.shown} → {figure.new.shown})"

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "old": self.old,
            "new": self.new,
            "sentence": self.sentence(),
            "figures": [
                {
                    "criterion": figure.new.criterion,
                    "name": figure.new.name,
                    "meaning": figure.new.meaning,
                    "better": figure.new.better,
                    "change": figure.change,
                    **{
                        side: {k: asdict(of)[k] for k in ("value", "low", "high", "shown")}
                        for side, of in (("old", figure.old), ("new", figure.new))
                    },
                }
                for figure in self.figures
            ],
        }

    def lines(self) -> Iterator[str]:
        """A table for a terminal, criterion by criterion, and the sentence."""
        for criterion in CRITERIA:
            yield f"{CRITERION_TITLES[criterion]:<34}{self.old:>26}{self.new:>26}"
            for figure in self.figures:
                if figure.new.criterion == criterion:
                    mark = "" if figure.change in ("same", "not comparable") else figure.change
                    row = f"  {figure.new.name:<32}{figure.old.shown:>26}{figure.new.shown:>26}"
                    yield f"{row}  {mark}".rstrip()
        yield self.sentence()


def compare_quality(old: tuple[str, object], new: tuple[str, object]) -> QualityDifference:
    """Compares two versions.

    Args:
        old: Name and `quality.json` of the older one.
        new: The same of the newer one.

    Raises:
        NoCriteriaError: A report was written before there were these figures.
    """
    for name, quality in (old, new):
        if not has_criteria(quality):
            raise NoCriteriaError(
                f"{name}: its quality.json has no `criteria`, as it was made by an earlier version "
                "of this program. Release it again under a new version, or compare later ones."
            )
    pairs = zip(figures_of(old[1]), figures_of(new[1]), strict=True)
    figures = [ComparedFigure(before, after, _change(before, after)) for before, after in pairs]
    return QualityDifference(old[0], new[0], figures)


def _change(old: Figure, new: Figure) -> str:
    if old.value is None or new.value is None:
        return "not comparable"
    change = new.value - old.value
    if (
        not change
        or new.better is None
        or abs(change) < _MIN_CHANGE * abs(old.value)
        or _overlap(old, new)
    ):
        return "same"
    return "better" if (change > 0) == (new.better == "higher") else "worse"


def _overlap(old: Figure, new: Figure) -> bool:
    """Whether both have intervals that share a value, so that chance may explain the change."""
    if old.low is None or old.high is None or new.low is None or new.high is None:
        return False
    return old.low <= new.high and new.low <= old.high
