"""Repeats are found in job order, and diversity is counted."""

from typing import Any

import pytest

from builder.checks.across import find_repeats
from builder.checks.diversity import MAX_TEXTS, instruction_diversity, text_diversity


def row(**changes: Any) -> dict[str, Any]:
    return {
        "task_type": "retrieval",
        "modality": "IT->T",
        "instruction": "Find the passage.",
        "query_text": "Where is it?",
        "query_image": "a" * 64,
        "positive_text": "On the table.",
        "positive_image": None,
        "negative_texts": ["Under it."],
    } | changes


def test_the_first_in_job_order_stays() -> None:
    rows = [("c", row()), ("a", row()), ("b", row(query_text="WHERE  is it?"))]
    assert find_repeats(rows) == {"a": "duplicate", "b": "duplicate"}


@pytest.mark.parametrize(
    "changes",
    [
        {"query_text": "Where was it?"},
        {"query_image": "b" * 64},
        {"positive_text": "On the chair."},
        {"positive_image": "c" * 64},
        {"task_type": "vqa"},
    ],
)
def test_another_query_or_positive_is_no_repeat(changes: dict[str, Any]) -> None:
    assert find_repeats([("a", row()), ("b", row(**changes))]) == {}


def test_another_negative_or_instruction_alone_is_a_repeat() -> None:
    rows = [("a", row()), ("b", row(negative_texts=["Behind it."], instruction="Retrieve it."))]
    assert find_repeats(rows) == {"b": "duplicate"}


def test_without_a_query_text_the_instruction_counts() -> None:
    rows = [
        ("a", row(query_text=None)),
        ("b", row(query_text=None, instruction="Find the caption.")),
        ("c", row(query_text=None)),
    ]
    assert find_repeats(rows) == {"c": "duplicate"}


def test_instructions_repeat_up_to_the_bound() -> None:
    rows = [(str(index), row(query_text=f"Question {index}?")) for index in range(5)]
    assert find_repeats(rows) == {}
    assert find_repeats(rows, 3) == dict.fromkeys(("3", "4"), "instruction_repeated")
    # A duplicate does not use the instruction up.
    assert find_repeats([rows[0], ("x", rows[0][1]), *rows[1:]], 4) == {
        "x": "duplicate",
        "4": "instruction_repeated",
    }


def test_instruction_diversity() -> None:
    found = instruction_diversity(["Find a cat.", "find a CAT", "Find a dog."])
    assert found == {
        "num": 3,
        "num_unique": 2,
        "unique_ratio": 2 / 3,
        "distinct_1": 4 / 6,
        "distinct_2": 3 / 4,
    }
    assert instruction_diversity([])["unique_ratio"] == 0.0


def test_text_diversity_counts_characters_where_no_spaces_are_written() -> None:
    found = text_diversity({"zh": ["猫猫", "猫狗"], "en": ["a cat", "a dog"]})
    assert found["zh"] == {"num": 2, "distinct_1": 2 / 4, "distinct_2": 2 / 2}
    assert found["en"] == {"num": 2, "distinct_1": 3 / 4, "distinct_2": 2 / 2}


def test_diversity_looks_at_a_bounded_number_of_texts() -> None:
    texts = [f"word{index}" for index in range(MAX_TEXTS + 500)]
    found = text_diversity({"en": texts})["en"]
    assert found["num"] == len(texts)
    assert found["distinct_1"] == 1.0
