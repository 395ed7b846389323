"""Totals are exact, and every share is within one sample of what was asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import BuildConfig
from builder.plan.shares import apportion, fill_table, language_shares_of, targets_of
from schemas.vocabulary import CELLS, LANGUAGES


@given(
    st.integers(0, 10**6),
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=100),
)
def test_apportionment_is_exact_and_within_one_of_each_share(total, shares):
    counts = apportion(total, shares)
    exact = total * np.array(shares) / np.sum(shares)
    assert counts.sum() == total
    assert (abs(counts - exact) < 1 + 1e-6).all()


@given(st.data())
def test_a_table_keeps_both_margins(data):
    total = data.draw(st.integers(0, 3000))
    shares = st.lists(st.floats(0.01, 100), min_size=1, max_size=12)
    rows = apportion(total, data.draw(shares))
    columns = apportion(total, data.draw(shares))
    table = fill_table(rows, columns)
    assert (table >= 0).all()
    assert (table.sum(axis=1) == rows).all()
    assert (table.sum(axis=0) == columns).all()


def test_the_papers_plan():
    targets = targets_of(BuildConfig(num_samples=560_000, languages="mme5"))
    wanted = targets.wanted_CL
    assert wanted.shape == (10, 93)
    assert wanted.sum() == 560_000
    by_task = dict.fromkeys(("classification", "vqa", "retrieval"), 0)
    for cell, count in zip(targets.cells, wanted.sum(axis=1), strict=True):
        by_task[cell.task_type] += int(count)
    assert by_task == {"classification": 140_000, "vqa": 140_000, "retrieval": 280_000}
    by_language = dict(zip(targets.languages, wanted.sum(axis=0).tolist(), strict=True))
    assert by_language["en"] == 241_360
    thirteen = ("pl", "ja", "it", "ru", "id", "de", "fa", "es", "zh", "fr", "pt", "ar", "nl")
    assert all(0.027 * 560_000 <= by_language[code] <= 0.03 * 560_000 for code in thirteen)
    rest = [count for code, count in by_language.items() if code not in (*thirteen, "en")]
    assert sum(rest) == 110_880
    assert max(rest) - min(rest) <= 1


def test_uniform_and_own_shares():
    assert language_shares_of(BuildConfig(languages="uniform"))[1] == pytest.approx([1 / 93] * 93)
    own = language_shares_of(BuildConfig(languages={"yi": 1, "en": 3, "fr": 0}))
    assert own == (["en", "yi"], [0.75, 0.25])


def test_modality_shares_weigh_inside_a_task_type():
    config = BuildConfig(
        num_samples=800,
        languages={"en": 1},
        task_shares={"retrieval": 3, "vqa": 1},
        modality_shares={"retrieval": {"T->I": 2, "I->I": 1}},
    )
    targets = targets_of(config)
    found = {
        (cell.task_type, cell.modality): int(count)
        for cell, count in zip(targets.cells, targets.wanted_CL.sum(axis=1), strict=True)
    }
    assert found == {
        ("vqa", "IT->T"): 200,
        ("retrieval", "T->I"): 400,
        ("retrieval", "I->I"): 200,
    }


@pytest.mark.parametrize("num_samples", [1, 7, 93, 1000])
def test_small_totals_are_exact_too(num_samples):
    targets = targets_of(BuildConfig(num_samples=num_samples, languages="uniform"))
    assert targets.wanted_CL.sum() == num_samples
    assert sum(targets.by_slot.values()) == num_samples
    assert len(targets.cells) == len(CELLS)
    assert len(targets.languages) == len(LANGUAGES)
    assert (targets.counts(targets.by_slot) == targets.wanted_CL).all()


@pytest.mark.parametrize("languages", ["mme5", "uniform", dict.fromkeys(("en", "am", "fr"), 1)])
@pytest.mark.parametrize(("before", "after"), [(600, 610), (60, 61), (601, 640), (3, 2_000)])
def test_a_set_that_grows_needs_only_what_it_grows_by(languages, before, after):
    old = targets_of(BuildConfig(num_samples=before, languages=languages))
    config = BuildConfig(num_samples=after, languages=languages)
    grown = targets_of(config, old.by_slot)
    base = grown.counts(old.by_slot)
    assert np.maximum(0, grown.wanted_CL - base).sum() == after - before
    assert (grown.wanted_CL >= base).all()
    exact_L = after * np.array(language_shares_of(config)[1])
    assert (abs(grown.wanted_CL.sum(axis=0) - exact_L) < 1).all()


@given(st.data())
def test_whatever_there_is_totals_are_exact_and_what_is_planned_anyway_stays_first(data):
    languages = dict.fromkeys(data.draw(st.sets(st.sampled_from(sorted(LANGUAGES)), min_size=1)), 1)
    config = BuildConfig(num_samples=data.draw(st.integers(1, 400)), languages=languages)
    plain = targets_of(config)
    slots = st.sampled_from(sorted(plain.by_slot))
    base = data.draw(st.dictionaries(slots, st.integers(0, 50), max_size=40))
    grown = targets_of(config, base)
    assert (grown.wanted_CL >= 0).all()
    assert grown.wanted_CL.sum() == config.num_samples
    exact_L = config.num_samples * np.array(language_shares_of(config)[1])
    assert (abs(grown.wanted_CL.sum(axis=0) - exact_L) < 1 + 1e-9).all()
    if not base:
        assert (grown.wanted_CL == plain.wanted_CL).all()
    again = targets_of(config, plain.by_slot)
    assert (again.wanted_CL == plain.wanted_CL).all()
