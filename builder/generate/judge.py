"""How far an independent judge agrees with the teacher's own scores, language by language."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson
from rich.console import Console
from rich.table import Table

from builder.generate.ledger import Ledger

CRITERIA = ("relevance", "plausibility", "clarity", "diversity")
_SCORES = 5
_LANGUAGES_SHOWN = 12


@dataclass(slots=True)
class Agreement:
    """Pairs of scores given to the same samples, as a table: teacher's row, judge's column."""

    pairs: list[list[int]] = field(default_factory=lambda: [[0] * _SCORES for _ in range(_SCORES)])

    def add(self, teacher: int, judge: int) -> None:
        self.pairs[teacher - 1][judge - 1] += 1

    @property
    def num(self) -> int:
        return sum(map(sum, self.pairs))

    @property
    def exact(self) -> float:
        """Share of equal scores."""
        return self._share(0)

    @property
    def within_one(self) -> float:
        """Share of scores at most one apart."""
        return self._share(1)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa with quadratic weights; None where either gave one score only.

        Source: Cohen 1968, doi:10.1037/h0026256.
        """
        num = self.num
        rows = [sum(row) for row in self.pairs]
        columns = [sum(column) for column in zip(*self.pairs, strict=True)]
        observed = expected = 0.0
        for i in range(_SCORES):
            for j in range(_SCORES):
                weight = (i - j) ** 2
                observed += weight * self.pairs[i][j]
                expected += weight * rows[i] * columns[j] / max(1, num)
        if max(rows, default=0) == num or max(columns, default=0) == num:
            return None
        return 1.0 - observed / expected

    def _share(self, distance: int) -> float:
        near = sum(
            count
            for i, row in enumerate(self.pairs)
            for j, count in enumerate(row)
            if abs(i - j) <= distance
        )
        return near / max(1, self.num)


def measure_agreement(provenances: Iterable[bytes]) -> dict[str, Agreement]:
    """Agreement by language, and over all under "all"; empty where nothing was judged.

    Args:
        provenances: JSON of `Provenance`.
    """
    found: dict[str, Agreement] = {}
    for text in provenances:
        provenance = orjson.loads(text)
        judge = provenance.get("judge")
        if judge is None:
            continue
        for name in ("all", provenance["language"]):
            agreement = found.setdefault(name, Agreement())
            for criterion in CRITERIA:
                agreement.add(
                    provenance["evaluation"][criterion]["score"], judge[criterion]["score"]
                )
    return found


def print_agreement(ledger: Ledger, console: Console) -> None:
    """Prints agreement by language, the lowest first."""
    found = measure_agreement(provenance for _, provenance in ledger.kept())
    if not found:
        return
    table = Table(title="Judge against teacher, all four criteria", title_justify="left")
    table.add_column("language")
    for name in ("scores", "exact", "within 1", "weighted kappa"):
        table.add_column(name, justify="right")
    languages = sorted(found.items(), key=lambda entry: (entry[0] != "all", entry[1].within_one))
    for name, agreement in languages[: _LANGUAGES_SHOWN + 1]:
        kappa = agreement.kappa
        table.add_row(
            name,
            str(agreement.num),
            f"{agreement.exact:.1%}",
            f"{agreement.within_one:.1%}",
            "-" if kappa is None else f"{kappa:.2f}",
        )
    console.print(table)
