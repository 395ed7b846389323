import numpy as np
import pytest

from trainer.evaluate.bootstrap import bootstrap_means, interval
from trainer.evaluate.outcomes import Outcomes, join, mean_over, metrics, summarise
from trainer.evaluate.ranking import Ranking

LANGUAGES = ("en", "fr", "sw")


def _outcomes(seed: int = 0, num_queries: int = 60, num_units: int = 12, k: int = 3) -> Outcomes:
    """Queries of random places in three languages; every language has some."""
    generator = np.random.default_rng(seed)
    ones = np.ones(num_queries, dtype=np.int64)
    ranking = Ranking(
        generator.integers(1, 9, num_queries), np.full(num_queries, 0.5), ones, ones * 9
    )
    language_Q = np.array(LANGUAGES)[np.arange(num_queries) % 3]
    units_Q = generator.integers(0, num_units, num_queries)
    return Outcomes(ranking, ones * k, units_Q, {"language": language_Q})


def test_the_mean_over_languages_gives_each_equal_weight() -> None:
    outcomes = _outcomes()
    hits = outcomes.ranking.best_Q <= 3
    by_language = {
        code: float(
            np.mean([hit for hit, of in zip(hits, _labels(outcomes), strict=True) if of == code])
        )
        for code in LANGUAGES
    }
    tally = outcomes.tally("language")
    assert tally.by_stratum == pytest.approx(by_language)
    assert tally.mean == pytest.approx(np.mean([*by_language.values()]))
    assert mean_over(outcomes, "language", 50)["recall_at_k"] == pytest.approx(tally.mean)


def _labels(outcomes: Outcomes) -> list[str]:
    return outcomes.labels["language"].tolist()


def test_influences_average_to_the_mean_and_tell_what_leaving_a_unit_out_does() -> None:
    outcomes = _outcomes(num_queries=3_000, num_units=100)
    tally = outcomes.tally("language")
    influence_U = tally.influence_U
    assert influence_U.mean() == pytest.approx(tally.mean)
    for unit in (0, 17, 99):
        less = outcomes.where(outcomes.unit_Q != unit).tally("language").mean
        jackknife = 100 * tally.mean - 99 * less
        assert influence_U[unit] == pytest.approx(jackknife, abs=0.02)


def test_k_of_each_query_decides_whether_it_is_a_hit() -> None:
    near, far = _outcomes(k=1), _outcomes(k=8)
    both = join([near, far])
    found = metrics(both)
    assert found["k"] == [1, 8]
    assert found["recall_at_k"] == pytest.approx((near.is_hit_Q.mean() + 1) / 2)
    assert found["chance"] == pytest.approx((0.1 + 0.8) / 2)


def test_resampled_means_equal_a_naive_loop() -> None:
    tally = _outcomes().tally("language")
    found = bootstrap_means(tally.hits_GU, tally.counts_GU, 20, seed=5)
    num_units = tally.hits_GU.shape[1]
    weights_SU = np.random.default_rng(5).multinomial(
        num_units, np.full(num_units, 1 / num_units), size=20
    )
    for weights_U, mean in zip(weights_SU, found, strict=True):
        recalls = []
        for hits_U, counts_U in zip(tally.hits_GU, tally.counts_GU, strict=True):
            hits = sum(w * h for w, h in zip(weights_U, hits_U, strict=True))
            count = sum(w * c for w, c in zip(weights_U, counts_U, strict=True))
            recalls += [hits / count] if count else []
        assert mean == pytest.approx(np.mean(recalls))


def test_queries_of_one_concept_in_many_languages_do_not_count_as_independent() -> None:
    generator = np.random.default_rng(0)
    is_known_U = generator.random(40) < 0.5
    alone_GU = is_known_U[None].astype(float)
    repeated_GU = np.repeat(alone_GU, 30, axis=0)
    alone = interval(bootstrap_means(alone_GU, np.ones_like(alone_GU), 500))
    repeated = interval(bootstrap_means(repeated_GU, np.ones_like(repeated_GU), 500))
    assert repeated == pytest.approx(alone)
    assert alone[1] - alone[0] > 0.2


def test_the_bootstrap_interval_covers_the_truth() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for number in range(200):
        hits_GU = (generator.random((1, 80)) < 0.3).astype(float)
        low, high = interval(bootstrap_means(hits_GU, np.ones_like(hits_GU), 300, seed=number))
        covered += low <= 0.3 <= high
    assert covered >= 178


def test_equal_seeds_resample_equally() -> None:
    first, second = summarise(_outcomes(), 100, seed=3), summarise(_outcomes(), 100, seed=3)
    assert first == second
    low, high = first["interval"]
    assert low <= first["recall_at_k"] <= high and low < high
