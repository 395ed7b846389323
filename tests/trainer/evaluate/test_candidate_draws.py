from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.tiny_encoder import TinyEncoder
from trainer.data.corpus import load_corpus
from trainer.data.items import Item
from trainer.evaluate.candidate_draws import DrawnConcepts, draw_concepts, expect_recall
from trainer.evaluate.concepts import measure_concepts
from trainer.evaluate.questions import Question, make_questions
from trainer.evaluate.vectors import Vectors, embed_once


def _ask(scores: Sequence[Sequence[float]], right: Sequence[int], num_drawn: int, k: int) -> float:
    """Expected recall of one question.

    Args:
        scores: Of every picture, by concept.
        right: Concepts that answer.
        num_drawn: Candidates.
        k: Depth of recall.
    """
    groups = tuple(f"g{number:02}" for number in range(len(scores)))
    images = [(number, place) for number, group in enumerate(scores) for place in range(len(group))]
    names = tuple(f"{number:02}/{place}" for number, place in images)
    drawn = DrawnConcepts(
        (Question("en", "which?", frozenset(groups[number] for number in right)),),
        groups,
        names,
        np.array([number for number, _ in images]),
        num_drawn,
    )
    values_ND = np.zeros((1 + len(names), 1), np.float32)
    values_ND[0] = 1
    values_ND[1:, 0] = [scores[number][place] for number, place in images]
    items = [Item(text="which?"), *(Item(image=name) for name in names)]
    vectors = Vectors(values_ND, {item: row for row, item in enumerate(items)})
    return expect_recall(drawn, vectors, k).mean


def _every_draw(
    scores: Sequence[Sequence[float]], right: Sequence[int], num_drawn: int, k: int
) -> float:
    """Mean recall over every draw with a right concept: what `_ask` has to give."""
    hits: list[float] = []
    for chosen in combinations(range(len(scores)), num_drawn):
        if not set(right) & set(chosen):
            continue
        draws = [*product(*(scores[number] for number in chosen))]
        for shown in draws:
            best = max(
                score for number, score in zip(chosen, shown, strict=True) if number in right
            )
            ahead = sum(
                score >= best
                for number, score in zip(chosen, shown, strict=True)
                if number not in right
            )
            hits.append((ahead < k) / len(draws))
    num_sets = sum(
        bool(set(right) & set(chosen)) for chosen in combinations(range(len(scores)), num_drawn)
    )
    return sum(hits) / num_sets


SCORES = st.lists(
    st.lists(st.integers(0, 4).map(lambda score: score / 4), min_size=1, max_size=3),
    min_size=2,
    max_size=6,
)


@given(SCORES, st.data())
def test_one_right_concept_gives_the_mean_over_every_draw(
    scores: list[list[float]], data: st.DataObject
) -> None:
    right = [data.draw(st.integers(0, len(scores) - 1))]
    num_drawn = data.draw(st.integers(2, len(scores)))
    k = data.draw(st.integers(1, 3))
    expected = _every_draw(scores, right, num_drawn, k)
    assert _ask(scores, right, num_drawn, k) == pytest.approx(expected)


@given(st.permutations(range(9)), st.integers(1, 4), st.integers(2, 5), st.integers(1, 3))
def test_several_right_concepts_give_it_too(
    order: list[int], num_right: int, num_drawn: int, k: int
) -> None:
    ranked = [value / 16 for value in order]
    scores = [ranked[0:2], ranked[2:3], ranked[3:5], ranked[5:8], ranked[8:9]]
    right = [0, 2, 3, 4][:num_right]
    expected = _every_draw(scores, right, num_drawn, k)
    assert _ask(scores, right, num_drawn, k) == pytest.approx(expected)


def test_constant_scores_give_nothing() -> None:
    assert _ask([[0.5]] * 30, [3], 20, 10) == 0.0


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_numbers_give_nothing(score: float) -> None:
    others = [[0.1 * number] for number in range(12)]
    assert _ask([[score], *others], [0], 13, 10) == 0.0
    wrong = [[score]] * 12
    assert _ask([[0.9], *wrong], [0], 13, 10) == 0.0


def test_all_draws_have_the_mean_of_many_single_ones(small_release: Path) -> None:
    held_out = load_corpus(str(small_release), "validation")
    drawn = draw_concepts(held_out, 4, 0)
    assert (len(drawn.groups), len(drawn.images), drawn.num_drawn) == (6, 12, 4)
    vectors = embed_once(TinyEncoder(1), drawn.items, held_out.images)
    hits: dict[tuple[str, str], list[bool]] = {}
    for seed in range(300):
        questions = make_questions(held_out, 4, seed)
        outcomes, _ = measure_concepts(questions, vectors, 2)
        for question, rank in zip(questions.questions, outcomes.ranking.best_Q, strict=True):
            hits.setdefault((question.language, question.text), []).append(bool(rank <= 2))
    expected = expect_recall(drawn, vectors, 2)
    assert expected.counts_GU.sum() == len(drawn.questions)
    assert {len(question.groups) for question in drawn.questions} == {1, 3}
    means = [np.mean(hits[question.language, question.text]) for question in drawn.questions]
    mean = expected.hits_GU.sum() / expected.counts_GU.sum()
    assert mean == pytest.approx(np.mean(means), abs=0.02)
    assert any(0.1 < each < 0.9 for each in means), "single draws vary"
