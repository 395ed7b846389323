"""Forced choices: an order that tells nothing, and answers that become verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation_app.work.choices import Arrangement, Choice, arrange, outcome_of


@given(st.text(), st.text(), st.text(), st.integers(1, 9))
def test_an_order_stays_and_picks_one_of_the_hard_negatives(
    queue_id: str, item_id: str, reviewer: str, num_negatives: int
) -> None:
    first = arrange(queue_id, item_id, reviewer, num_negatives)
    assert first == arrange(queue_id, item_id, reviewer, num_negatives)
    assert 0 <= first.negative_index < num_negatives


def test_the_positive_is_on_either_side_as_often() -> None:
    sides = [arrange("q", f"{number:024x}", "noor", 1).is_positive_left for number in range(2_000)]
    assert 900 < sum(sides) < 1_100


@pytest.mark.parametrize("is_positive_left", [True, False])
def test_only_a_clear_choice_of_the_positive_accepts(is_positive_left: bool) -> None:
    arrangement = Arrangement(is_positive_left, 0)
    positive: Choice = "left" if is_positive_left else "right"
    negative: Choice = "right" if is_positive_left else "left"
    assert outcome_of(positive, arrangement).verdict == "accept"
    for choice in (negative, "both", "neither"):
        assert outcome_of(choice, arrangement).verdict == "reject"
    assert outcome_of("both", arrangement).reasons == ("negative_correct",)
    assert outcome_of(negative, arrangement).reasons == ("negative_correct",)
    assert outcome_of("neither", arrangement).reasons == ("positive_wrong",)
