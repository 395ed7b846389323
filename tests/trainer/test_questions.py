from trainer.corpus import Corpus, Row
from trainer.questions import make_questions


def _row(number: int, language: str, text: str, image: str) -> Row:
    return Row(str(number), language, "T->I", text, None, None, image, (), ())


def _corpus(groups: dict[str, str]) -> Corpus:
    rows = [
        _row(0, "en", "apple", "a1"),
        _row(1, "en", "apple", "b1"),
        _row(2, "fr", "apple", "a2"),
        _row(3, "fr", "poire", "c1"),
    ]
    images = {name: name.encode() for name in ("a1", "a2", "b1", "c1")}
    return Corpus("test", "validation", rows, images, groups)


def test_equal_texts_of_a_language_share_their_right_answers() -> None:
    groups = {"a1": "red", "a2": "red", "b1": "green", "c1": "pear"}
    questions = make_questions(_corpus(groups), 300, 0)
    found = {(q.language, q.text): q.groups for q in questions.questions}
    assert found == {
        ("en", "apple"): {"red", "green"},
        ("fr", "apple"): {"red"},
        ("fr", "poire"): {"pear"},
    }
    assert questions.candidate_groups == ("green", "pear", "red"), "one candidate a group"
    assert questions.correct_QN.sum() == 4


def test_without_provenance_every_image_is_a_candidate_of_its_own() -> None:
    questions = make_questions(_corpus({}), 300, 0)
    assert questions.candidate_images == ("a1", "a2", "b1", "c1")
    assert not questions.has_groups


def test_only_questions_with_a_sampled_answer_are_asked() -> None:
    questions = make_questions(_corpus({}), 2, 1)
    assert len(questions.candidate_groups) == 2
    assert questions.correct_QN.any(axis=1).all()
    assert questions == make_questions(_corpus({}), 2, 1), "the sample is seeded"
