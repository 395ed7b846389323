"""How far an independent judge agrees with the teacher's own scores, language by language.

The teacher scores its draft and then revises it, in one pass as in the paper;
the judge scores the revision, which is what is kept. Only where the revision
changed nothing are both scores of the same texts, so only those say how far
the two agree; over all samples the revision's own effect is among what is
measured.
"""

# R resamples, P different samples by their scores, S scores

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import orjson
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from builder.ledger.ledger import Ledger
from schemas.sample import SCORES as CRITERIA

_SCORES = 5
_LANGUAGES_SHOWN = 12
_NUM_RESAMPLES = 500
_LEVEL = 0.95

#: The pairs of scores of one sample: the teacher's and the judge's, from 1 to 5.
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AgreementFigure:
    """Agreement of judge and teacher in one language, or over all.

    Args:
        num_samples: With scores of both.
        num_scores: Four a sample.
        within_one: Share of scores at most one apart.
        kappa: Cohen's kappa with quadratic weights; None where either gave one score only.
        low: Lower end of its 95 % interval, by a bootstrap of samples.
        high: Upper end.
    """

    num_samples: int
    num_scores: int
    within_one: float
    kappa: float | None
    low: float | None
    high: float | None


@dataclass(slots=True)
class Agreement:
    """Pairs of scores given to the same samples."""

    _samples: Counter[Pairs] = field(default_factory=Counter)

    def add(self, *pairs: tuple[int, int]) -> None:
        """Adds a sample's pairs of scores: teacher's, judge's."""
        self._samples[pairs] += 1

    @property
    def num_samples(self) -> int:
        return self._samples.total()

    @property
    def num(self) -> int:
        """Number of pairs."""
        return sum(len(pairs) * num for pairs, num in self._samples.items())

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
        tables_PSS, num_P = self._tables()
        (kappa,) = _kappas(np.tensordot(num_P[None, :], tables_PSS, axes=1))
        return None if np.isnan(kappa) else float(kappa)

    def figure(self, *, seed: int = 0) -> AgreementFigure:
        """Kappa with its interval: the four scores of a sample are drawn together.

        Args:
            seed: Of the bootstrap.
        """
        low = high = None
        kappa = self.kappa
        if kappa is not None:
            tables_PSS, num_P = self._tables()
            num = int(num_P.sum())
            # Drawing how often each kind of sample comes is drawing samples with replacement.
            drawn_RP = np.random.default_rng(seed).multinomial(num, num_P / num, _NUM_RESAMPLES)
            kappas_R = _kappas(np.tensordot(drawn_RP, tables_PSS, axes=1))
            tail = (1 - _LEVEL) / 2
            ends = np.quantile(kappas_R[~np.isnan(kappas_R)], [tail, 1 - tail])
            low, high = map(float, ends)
        return AgreementFigure(self.num_samples, self.num, self.within_one, kappa, low, high)

    def _tables(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """A table of teacher's and judge's scores for each kind of sample, and their numbers."""
        tables_PSS = np.zeros((len(self._samples), _SCORES, _SCORES))
        for kind, pairs in enumerate(self._samples):
            for teacher, judge in pairs:
                tables_PSS[kind, teacher - 1, judge - 1] += 1
        return tables_PSS, np.array([*self._samples.values()], np.int64)

    def _share(self, distance: int) -> float:
        near = sum(
            num * sum(abs(teacher - judge) <= distance for teacher, judge in pairs)
            for pairs, num in self._samples.items()
        )
        return near / max(1, self.num)


def _kappas(tables_RSS: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted kappa of tables of counts, shape (R,); not a number where it is not defined."""
    place_S = np.arange(_SCORES)
    weight_SS = (place_S[:, None] - place_S[None, :]) ** 2
    rows_RS, columns_RS = tables_RSS.sum(axis=2), tables_RSS.sum(axis=1)
    num_R = np.maximum(rows_RS.sum(axis=1), 1)
    observed_R = (tables_RSS * weight_SS).sum(axis=(1, 2))
    expected_R = np.einsum("rs,st,rt->r", rows_RS, weight_SS, columns_RS) / num_R
    is_constant_R = (np.count_nonzero(rows_RS, axis=1) < 2) | (
        np.count_nonzero(columns_RS, axis=1) < 2
    )
    kappa_R = 1.0 - observed_R / np.where(is_constant_R, 1.0, expected_R)
    return np.where(is_constant_R, np.nan, kappa_R)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The teacher's scores of drafts against the judge's of revisions.

    Args:
        every: All samples that were judged.
        same_texts: Those whose revision is the draft.
    """

    every: Agreement = field(default_factory=Agreement)
    same_texts: Agreement = field(default_factory=Agreement)


def compare_scores(provenances: Iterable[bytes]) -> dict[str, Comparison]:
    """Comparison by language, and over all under "all"; empty where nothing was judged.

    Args:
        provenances: JSON of `Provenance`.
    """
    found: dict[str, Comparison] = {}
    for text in provenances:
        provenance = orjson.loads(text)
        judge = provenance.get("judge")
        if judge is None:
            continue
        pairs = [
            (provenance["evaluation"][criterion]["score"], judge[criterion]["score"])
            for criterion in CRITERIA
        ]
        is_same = provenance["draft"] == provenance["revision"]
        for name in ("all", provenance["language"]):
            comparison = found.setdefault(name, Comparison())
            comparison.every.add(*pairs)
            if is_same:
                comparison.same_texts.add(*pairs)
    return found


def judge_agreement(provenances: Iterable[bytes]) -> dict[str, AgreementFigure]:
    """Agreement of judge and teacher by language, and over all under "all".

    Args:
        provenances: JSON of `Provenance`, of which those with a judgement count.

    Returns:
        Empty where nothing was judged.
    """
    return {name: found.every.figure() for name, found in compare_scores(provenances).items()}


def print_agreement(ledger: Ledger, console: Console) -> None:
    """Prints the comparison by language, the lowest first, and says what is compared."""
    found = compare_scores(provenance for _, provenance in ledger.kept())
    if not found:
        return
    table = Table(title="Judge's scores against the teacher's", title_justify="left")
    table.add_column("language")
    for name in ("every sample", "within 1", "kappa", "same texts", "within 1", "kappa"):
        table.add_column(name, justify="right")
    languages = sorted(
        found.items(), key=lambda entry: (entry[0] != "all", entry[1].every.within_one)
    )
    for name, comparison in languages[: _LANGUAGES_SHOWN + 1]:
        table.add_row(name, *_figures(comparison.every), *_figures(comparison.same_texts))
    console.print(table)
    console.print(
        "Scores of all four criteria, kappa with quadratic weights and its 95 % interval. The "
        "teacher scored its draft before it revised it, the judge scored the revision: over every "
        "sample, agreement and what the revision improved are mixed. Same texts: the revision "
        "changed nothing, so both scored the same; there the figures are agreement.",
        highlight=False,
    )


def _figures(agreement: Agreement) -> tuple[str, str, str]:
    figure = agreement.figure()
    kappa = "-"
    if figure.kappa is not None:
        kappa = f"{figure.kappa:.2f} ({figure.low:.2f} to {figure.high:.2f})"
    within_one = f"{figure.within_one:.1%}" if figure.num_scores else "-"
    return str(figure.num_scores), within_one, kappa
