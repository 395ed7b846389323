import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from builder.checks_config import ChecksConfig
from schemas.edits import EditError, apply_edits, text_problem
from schemas.review import EDITABLE_FIELDS, Edits
from schemas.sample import Sample
from schemas.text_rules.artefacts import malformed_text
from schemas.text_rules.candidate import Candidate
from schemas.vocabulary import CELL_BY_NAME, LANGUAGES
from tests.schemas.strategies import samples, texts
from tests.schemas.text_rules.rows import make_draft, make_evaluation

TEXTS_ONLY = CELL_BY_NAME["retrieval_it2t"]


def objection(sample: Sample, **edits: object) -> EditError:
    with pytest.raises(EditError) as refused:
        apply_edits(sample, Edits.model_validate(edits))
    return refused.value


@given(row=samples(TEXTS_ONLY), text=texts)
def test_what_is_taken_stands_in_the_row_and_nothing_else_changed(row: Sample, text: str) -> None:
    assume(text_problem(text) is None)
    edited = apply_edits(row, Edits(query_text=text))
    assert edited == row.model_copy(update={"query_text": text})


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\t", "\u00a0\u3000", "\u200b", "\x00", "\u202e\u202c", "\u3164", "\u2800\u115f"],
)
def test_what_nobody_can_see_is_blank(text: str) -> None:
    assert text_problem(text) == "is blank. Write a text, or reject the row."


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a\x00", "(U+0000)"),
        ("a\r", "(U+000D)"),
        ("a \u202eb\u202c", "(U+202E right-to-left override)"),
        ("a \u2067b", "(U+2067 right-to-left isolate)"),
        ("half \ud83d", "(U+D83D)"),
        ("\ufffd a", "(U+FFFD replacement character)"),
        ("\ufeffa", "(U+FEFF zero width no-break space)"),
    ],
)
def test_a_character_that_no_text_needs_is_named(text: str, named: str) -> None:
    said = text_problem(text)
    assert said is not None and named in said and "Delete it" in said


@pytest.mark.parametrize(
    "text",
    [
        "a red apple",
        "می\u200cخواهم",
        "שלום\u200f, world",
        "क्\u200dष",
        "👩\u200d🚀",
        "two\nlines\tof it",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "?",
        "ⵣ",
    ],
)
def test_what_writing_needs_is_taken(text: str) -> None:
    assert text_problem(text) is None


def test_a_text_too_long_says_by_how_much() -> None:
    assert text_problem("x" * 20_001) == ("has 20,001 characters; the limit is 20,000. Shorten it.")


@given(row=samples(TEXTS_ONLY))
def test_a_hard_negative_that_says_what_the_positive_says_is_refused(row: Sample) -> None:
    negatives = ("something else entirely",) * (len(row.negative_texts) - 1)
    row = row.model_copy(update={"positive_text": "Ａ red  Apple"})
    error = objection(row, negative_texts=(*negatives, "a red apple."))
    assert error.field == f"negative_texts.{len(negatives)}"
    assert "says the same as the positive" in str(error)
    told = row.model_copy(update={"negative_texts": ("une pomme",) * len(row.negative_texts)})
    assert objection(told, positive_text="Une pomme!").field == "negative_texts.0"


@given(row=samples(TEXTS_ONLY))
def test_where_there_are_only_signs_the_signs_are_compared(row: Sample) -> None:
    num_negatives = len(row.negative_texts)
    row = row.model_copy(update={"positive_text": "?", "negative_texts": ("no",) * num_negatives})
    assert apply_edits(row, Edits(negative_texts=("!",) * num_negatives)).positive_text == "?"
    assert "says the same" in str(objection(row, negative_texts=("?",) * num_negatives))


@given(row=samples(TEXTS_ONLY))
def test_texts_older_than_the_rules_do_not_keep_others_from_being_edited(row: Sample) -> None:
    old = row.model_copy(
        update={
            "positive_text": "an \u202eold text",
            "negative_texts": ("an \u202eold text!", *row.negative_texts[1:]),
        }
    )
    edited = apply_edits(old, Edits(query_text="edited"))
    assert edited.query_text == "edited" and edited.positive_text == old.positive_text
    second = apply_edits(old, Edits(positive_text="new", negative_texts=old.negative_texts))
    assert second.positive_text == "new"


@given(row=samples())
def test_a_text_for_a_side_without_one_is_refused(row: Sample) -> None:
    for field in ("query_text", "positive_text"):
        if getattr(row, field) is None:
            error = objection(row, **{field: "a text"})
            assert error.field == field and str(error).endswith("has none. Fix it.")
    assert set(EDITABLE_FIELDS) == set(Edits.model_fields)


@given(st.integers(0, sys.maxunicode).map(chr))
@example("\ufffc")  # printable, and no text needs it
def test_the_build_drops_the_characters_that_an_edit_may_not_hold(sign: str) -> None:
    """One rule on both sides of the release: what an edit may hold is not dropped later."""
    text = f"a {sign} b"
    candidate = Candidate(
        TEXTS_ONLY, LANGUAGES["en"], make_draft(query=text), make_evaluation(), ChecksConfig()
    )
    assert (malformed_text(candidate) is None) == (text_problem(text) is None)
