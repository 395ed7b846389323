from dataclasses import replace
from pathlib import Path

import pytest

from trainer.data.corpus import Corpus, load_corpus
from trainer.data.items import Item, Row
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.questions import QuestionSet, make_questions


def _row(number: int, language: str, modality: str, query: Item, positive: Item) -> Row:
    return Row(str(number), language, "retrieval", modality, query, positive, ())


def _asks(number: int, language: str, text: str, image: str) -> Row:
    return _row(number, language, "T->I", Item("Find it.", text), Item(image=image))


ROWS = [
    _asks(0, "en", "apple", "a1"),
    _asks(1, "en", "apple", "b1"),
    _asks(2, "fr", "apple", "a2"),
    _asks(3, "fr", "poire", "c1"),
]


@pytest.fixture
def corpus(small_release: Path) -> Corpus:
    """Four rows by hand, without image groups."""
    version = load_corpus(str(small_release), "validation").version
    return Corpus(version, "validation", ROWS)


def _answers(questions: QuestionSet) -> dict[tuple[str, str], set[str]]:
    return {(q.language, q.text): set(q.groups) for q in questions.questions}


def test_equal_texts_of_a_language_share_their_right_answers(corpus: Corpus) -> None:
    groups = {"a1": "red", "a2": "red", "b1": "green", "c1": "pear"}
    questions = make_questions(replace(corpus, groups=groups), 300, 0)
    assert _answers(questions) == {
        ("en", "apple"): {"red", "green"},
        ("fr", "apple"): {"red"},
        ("fr", "poire"): {"pear"},
    }
    assert questions.candidate_groups == ("green", "pear", "red"), "one candidate a group"
    assert [columns.tolist() for columns in questions.right] == [[0, 2], [2], [1]]
    assert questions.languages == ["en", "fr"]


def test_without_provenance_every_image_is_a_candidate_of_its_own(corpus: Corpus) -> None:
    questions = make_questions(corpus, 300, 0)
    assert questions.candidate_images == ("a1", "a2", "b1", "c1")
    assert not questions.has_groups


def test_only_questions_with_a_sampled_answer_are_asked(corpus: Corpus) -> None:
    for seed in range(5):
        questions = make_questions(corpus, 2, seed)
        assert len(questions.candidate_groups) == 2
        assert all(len(columns) for columns in questions.right)
        assert questions == make_questions(corpus, 2, seed), "the sample is seeded"


def test_both_directions_ask_with_their_text_alone(corpus: Corpus) -> None:
    rows = [
        _row(0, "en", "I->T", Item("Describe it.", None, "a1"), Item(text="an apple")),
        _row(1, "en", "T->IT", Item("Find it.", "a pear"), Item(text="pear", image="b1")),
    ]
    questions = make_questions(replace(corpus, rows=rows), 300, 0)
    assert _answers(questions) == {("en", "an apple"): {"a1"}, ("en", "a pear"): {"b1"}}
    assert {item.instruction for item in questions.queries} == {None}
    assert {item.modality for item in questions.candidates} == {"I"}


def test_rows_that_pair_no_text_with_an_image_ask_nothing(corpus: Corpus) -> None:
    rows = [
        _row(0, "en", "I->I", Item(image="a1"), Item(image="b1")),
        _row(1, "en", "IT->T", Item(text="which?", image="a1"), Item(text="an apple")),
    ]
    with pytest.raises(NothingToMeasureError, match=r"shapes@0\.1\.0: .*Build rows of the cells"):
        make_questions(replace(corpus, rows=rows), 300, 0)


def test_a_single_concept_needs_more_images(corpus: Corpus) -> None:
    groups = dict.fromkeys(["a1", "a2", "b1", "c1"], "fruit")
    with pytest.raises(NothingToMeasureError, match=r"a single concept.*needs more of them"):
        make_questions(replace(corpus, groups=groups), 300, 0)


def test_candidates_are_held_out_images_alone(small_release: Path) -> None:
    validation = load_corpus(str(small_release), "validation")
    train = load_corpus(str(small_release), "train", images=validation.images)
    seen = {item.image for row in train.rows for item in row.items}
    questions = make_questions(validation, 300, 0)
    assert len(questions.candidate_groups) == 6
    assert seen.isdisjoint(questions.candidate_images)
