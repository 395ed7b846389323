"""Decisions: what differs from the row is an edit, and nothing else is."""

import pytest

from curation_app.work.decisions import EditProblems, edit_problems, edits_between
from schemas.review import Edits
from schemas.text_rules import TextRulesConfig
from tests.curation_app.tiny_release import make_sample

THREE = ("a" * 64, "b" * 64, "c" * 64)
SAMPLE = make_sample(
    "retrieval", "IT->IT", "en", THREE, ("one\r\ntwo", "three\rfour", "five\r\n\r\nsix")
)


def test_line_ends_as_a_text_area_returns_them_are_no_edit() -> None:
    texts = {
        "instruction": SAMPLE.instruction,
        "query_text": "one\ntwo",
        "positive_text": "three\nfour",
        "negative_texts": ["five\n\nsix"],
    }
    assert edits_between(SAMPLE, texts) == Edits()
    changed = edits_between(SAMPLE, {**texts, "positive_text": "three\nfour and a half"})
    assert changed == Edits(positive_text="three\nfour and a half")
    assert edits_between(SAMPLE, {**texts, "query_text": "one\n\ntwo"}).query_text == "one\n\ntwo"


def test_published_line_ends_are_not_the_fault_of_an_edit_beside_them() -> None:
    edits = Edits(instruction="Find the sentence that matches the one given.")
    assert edit_problems(SAMPLE, edits, TextRulesConfig()) == []


def test_every_wrong_text_is_named_at_once() -> None:
    texts = {"query_text": "\x01", "positive_text": 7, "negative_texts": ["\ud800"]}
    with pytest.raises(EditProblems) as refused:
        edits_between(SAMPLE, texts)
    fields = [problem.field for problem in refused.value.problems]
    assert fields == ["query_text", "positive_text", "negative_texts.0"]


def test_an_edit_goes_through_the_rules_of_the_release() -> None:
    sample = make_sample(
        "retrieval", "IT->IT", "hi", THREE, ("लाल गुब्बारा", "छत के ऊपर", "डोर पर पतंग")
    )
    edits = Edits(query_text="a red balloon over a roof")
    [problem] = edit_problems(sample, edits, TextRulesConfig())
    assert problem.field == "query_text" and "script" in problem.what
