"""The outcome of every query, and means by language, cell and task type with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.evaluate.bootstrap import bootstrap_means, interval
from trainer.evaluate.ranking import Ranking, chance_of_recall, mean_reciprocal_rank, recall_at_k

# Q queries, U units, G strata (languages, cells, task types)


@dataclass(frozen=True, slots=True)
class Tally:
    """Queries answered within k, by stratum and unit.

    Args:
        strata: Languages or cells, in alphabetical order.
        hits_GU: Queries answered within k.
        counts_GU: Queries.
    """

    strata: tuple[str, ...]
    hits_GU: NDArray[np.float64]
    counts_GU: NDArray[np.float64]

    @property
    def by_stratum(self) -> dict[str, float]:
        """Recall@k of each stratum."""
        recall_G = self.hits_GU.sum(axis=1) / self.counts_GU.sum(axis=1)
        return dict(zip(self.strata, recall_G.tolist(), strict=True))

    @property
    def mean(self) -> float:
        """Mean over strata, each with equal weight."""
        return float(np.mean([*self.by_stratum.values()]))

    @property
    def influence_U(self) -> NDArray[np.float64]:
        """What each unit adds to `mean`, as a value per unit whose average is `mean`.

        The mean over strata is a mean of ratios; these are its infinitesimal
        jackknife pseudo-values (Efron and Tibshirani 1993, chapter 21), so that
        units can be treated as a sample of plain numbers.
        """
        num_units = self.counts_GU.shape[1]
        count_G = self.counts_GU.sum(axis=1, keepdims=True)
        recall_G = self.hits_GU.sum(axis=1, keepdims=True) / count_G
        pull_GU = num_units * (self.hits_GU - recall_G * self.counts_GU) / count_G
        return self.mean + pull_GU.mean(axis=0)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcome of every query of a suite.

    Args:
        ranking: Places of the right candidates.
        k_Q: Depth of recall of each query; one cell's may be lower than another's.
        unit_Q: What is resampled together, such as the concept asked for.
        labels: What queries are counted under, by kind: "language", "cell", "task", or whatever
            a suite has; one label per query.
    """

    ranking: Ranking
    k_Q: NDArray[np.int64]
    unit_Q: NDArray[np.int64]
    labels: dict[str, NDArray[np.str_]]

    def __len__(self) -> int:
        return len(self.ranking)

    @property
    def is_hit_Q(self) -> NDArray[np.bool_]:
        return self.ranking.best_Q <= self.k_Q

    def where(self, kept_Q: NDArray[np.bool_]) -> "Outcomes":
        """The queries for which this is true."""
        ranking = self.ranking
        return Outcomes(
            Ranking(
                ranking.best_Q[kept_Q],
                ranking.ndcg_Q[kept_Q],
                ranking.num_right_Q[kept_Q],
                ranking.num_wrong_Q[kept_Q],
            ),
            self.k_Q[kept_Q],
            self.unit_Q[kept_Q],
            {kind: label_Q[kept_Q] for kind, label_Q in self.labels.items()},
        )

    def tally(self, stratum: str, num_units: int | None = None) -> Tally:
        """Hits by a kind of label and by unit.

        Args:
            stratum: A kind of label.
            num_units: Columns; None takes only the units that are asked for.
        """
        names, stratum_Q = np.unique(self.labels[stratum], return_inverse=True)
        unit_Q = self.unit_Q
        if num_units is None:
            units, unit_Q = np.unique(unit_Q, return_inverse=True)
            num_units = len(units)
        hits_GU, counts_GU = np.zeros((2, len(names), num_units))
        np.add.at(hits_GU, (stratum_Q, unit_Q), self.is_hit_Q)
        np.add.at(counts_GU, (stratum_Q, unit_Q), 1)
        return Tally(tuple(map(str, names)), hits_GU, counts_GU)

    def groups(self, kind: str) -> dict[str, "Outcomes"]:
        """The queries of each label of a kind, labels in alphabetical order."""
        label_Q = self.labels[kind]
        return {str(name): self.where(label_Q == name) for name in np.unique(label_Q)}


def join(parts: Sequence[Outcomes]) -> Outcomes:
    """Queries of several suites or cells as one; they must have the same kinds of labels."""
    rankings = [part.ranking for part in parts]
    return Outcomes(
        Ranking(
            np.concatenate([ranking.best_Q for ranking in rankings]),
            np.concatenate([ranking.ndcg_Q for ranking in rankings]),
            np.concatenate([ranking.num_right_Q for ranking in rankings]),
            np.concatenate([ranking.num_wrong_Q for ranking in rankings]),
        ),
        np.concatenate([part.k_Q for part in parts]),
        np.concatenate([part.unit_Q for part in parts]),
        {
            kind: np.concatenate([part.labels[kind] for part in parts])
            for kind in (parts[0].labels if parts else {})
        },
    )


def metrics(outcomes: Outcomes) -> dict[str, Any]:
    """Mean metrics over queries, each with equal weight, as plain values for JSON.

    `recall_at_k` is at the `k` beside it; where queries differ in k that is a
    list, and each query counts at its own.
    """
    ranking = outcomes.ranking
    depths = sorted({int(k) for k in outcomes.k_Q})
    chances = [
        chance_of_recall(part.ranking, k) * len(part)
        for k in depths
        if len(part := outcomes.where(outcomes.k_Q == k))
    ]
    return {
        "num_queries": len(outcomes),
        "k": depths[0] if len(depths) == 1 else depths,
        "recall_at_k": float(outcomes.is_hit_Q.mean()),
        "recall_at_1": recall_at_k(ranking.best_Q, 1),
        "mrr": mean_reciprocal_rank(ranking.best_Q),
        "ndcg_at_10": float(ranking.ndcg_Q.mean()),
        "chance": sum(chances) / len(outcomes),
    }


def summarise(outcomes: Outcomes, num_resamples: int, seed: int = 0) -> dict[str, Any]:
    """Metrics of these queries, with the bootstrap interval of recall@k."""
    alone = np.zeros(len(outcomes), dtype=np.str_)
    tally = Outcomes(outcomes.ranking, outcomes.k_Q, outcomes.unit_Q, {"all": alone}).tally("all")
    resampled_S = bootstrap_means(tally.hits_GU, tally.counts_GU, num_resamples, seed)
    return metrics(outcomes) | {"interval": interval(resampled_S)}


def summarise_by(
    outcomes: Outcomes, kind: str, num_resamples: int, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """`summarise` for each label of a kind: each language, each cell."""
    return {
        name: summarise(part, num_resamples, seed) for name, part in outcomes.groups(kind).items()
    }


def mean_over(
    outcomes: Outcomes,
    kind: str,
    num_resamples: int,
    seed: int = 0,
    *,
    num_units: int | None = None,
) -> dict[str, Any]:
    """Unweighted mean over the labels of a kind, as the published means of MMEB and XTD.

    Every metric is the mean of the labels' own; the interval is that of
    recall@k, units resampled for all labels at once. `num_units` as in `Outcomes.tally`.
    """
    parts = [metrics(part) for part in outcomes.groups(kind).values()]
    tally = outcomes.tally(kind, num_units)
    resampled_S = bootstrap_means(tally.hits_GU, tally.counts_GU, num_resamples, seed)
    names = ("recall_at_k", "recall_at_1", "mrr", "ndcg_at_10", "chance")
    return {
        "mean_over": kind,
        "num_queries": len(outcomes),
        **{name: float(np.mean([part[name] for part in parts])) for name in names},
        "interval": interval(resampled_S),
    }
