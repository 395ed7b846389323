"""Rules over the whole set: near-duplicates, contradictions, personal data, words of a list."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from builder.checks.near_duplicates import MIN_CHARS, find_near_duplicates, jaccard
from builder.checks.unwanted_text import PersonalData, WordList, is_luhn, personal_data_in
from builder.checks.whole_set import find_drops
from builder.checks_config import ChecksConfig

ALL_KINDS: tuple[PersonalData, ...] = ("email", "phone", "card")


def row(**fields: Any) -> dict[str, Any]:
    return {
        "language": "en",
        "task_type": "retrieval",
        "modality": "IT->T",
        "instruction": "Find the caption.",
        "query_text": "a query",
        "query_image": "q",
        "positive_text": "a positive",
        "positive_image": None,
        "negative_texts": ["a negative"],
        "negative_images": [None],
        **fields,
    }


def drops(rows: list[dict[str, Any]], **checks: Any) -> dict[str, str]:
    named = [(str(number), fields) for number, fields in enumerate(rows)]
    return find_drops(named, ChecksConfig(**checks))


def _sentences(num: int, seed: int = 1) -> Iterator[list[str]]:
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 8))) for _ in range(900)]
    for _ in range(num):
        yield draw.choices(words, k=draw.randint(10, 30))


def test_near_duplicates_are_found_and_others_are_not() -> None:
    draw = random.Random(2)
    texts = list(_sentences(1_000))
    changed = [list(words) for words in texts[:200]]
    for words in changed:
        words[draw.randrange(len(words))] = "changed"
    rows = [
        (f"{kind}{number}", row(query_text=" ".join(words), positive_text=None))
        for kind, many in (("text", texts), ("copy", changed))
        for number, words in enumerate(many)
    ]
    found = find_near_duplicates(rows, 0.6)
    alike = [
        f"copy{n}"
        for n in range(200)
        if jaccard(" ".join(texts[n]), " ".join(changed[n]), 5) >= 0.6
    ]
    assert all(name.startswith("copy") for name in found)
    assert len(alike) > 150 and len(set(alike) & found.keys()) >= 0.95 * len(alike)


def test_what_is_nearly_the_same_in_another_language_is_told_apart() -> None:
    text = "the quick brown fox jumps over the lazy dog by the river"
    rows = [
        row(query_text=text, query_image="1"),
        row(query_text=f"{text}!", query_image="2"),
        row(query_text=text.upper(), query_image="3", language="sw"),
        row(query_text="敏捷的棕色狐狸跳过了河边那只懒惰的狗", query_image="4", language="zh"),
        row(query_text="敏捷的棕色狐狸跳过了河边那只懒惰的狗。", query_image="5", language="zh"),
    ]
    assert drops(rows, near_duplicate_similarity=0.85) == {
        "1": "near_duplicate",
        "2": "near_duplicate_across",
        "4": "near_duplicate",
    }
    assert drops(rows) == {}  # off unless asked for


def test_labels_are_too_short_to_be_near_duplicates() -> None:
    label = "x" * (MIN_CHARS - 30)
    rows = [row(query_text=label, positive_text=None, query_image=str(n)) for n in range(3)]
    assert drops(rows, near_duplicate_similarity=0.5) == {}


def test_a_positive_that_is_another_rows_negative_for_the_same_query_is_dropped() -> None:
    rows = [
        row(positive_text="Cat", negative_texts=["dog"]),
        row(positive_text="DOG", negative_texts=["cow"], query_text="A  query"),
        row(positive_text="bird", negative_texts=["cat"]),
        row(positive_text="dog", negative_texts=["cat"], query_image="other"),
        row(positive_text="dog", negative_texts=["cat"], query_text=None, instruction="Another."),
    ]
    assert drops(rows) == {"1": "contradicts_another", "2": "contradicts_another"}
    assert drops(rows, contradictions=False) == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe@mail.acme.co.uk today", "email"),
        ("اكتب إلى jane@acme.de الآن", "email"),
        ("call +49 30 1234 5678", "phone"),
        ("tel. (030) 1234 5678", "phone"),
        ("415-555-2671 after five", "phone"),
        ("card 4111 1111 1111 1111, please", "card"),
        ("5500000000000004", "card"),
        ("write to jane@example.com", None),
        ("user @ home, 3 @ 4", None),
        ("from 1914-1918 to 1939-1945", None),
        ("ISBN 978-3-16-148410-0 costs 1,234,567.89", None),
        ("2024-05-17 12:30:45", None),
        ("4111 1111 1111 1112", None),
        ("0000 0000 0000 0000", None),
        ("article 10293847", None),
    ],
)
def test_personal_data_is_told_from_other_numbers(text: str, kind: str | None) -> None:
    assert personal_data_in(text, ALL_KINDS) == kind


def test_check_digits_are_luhns() -> None:
    assert is_luhn("79927398713") and not is_luhn("79927398710")


def test_personal_data_is_an_option_and_its_kind_the_reason() -> None:
    rows = [row(), row(query_text="b", negative_texts=["mail me: a.b@acme.org"])]
    assert drops(rows) == {}
    assert drops(rows, personal_data=["phone"]) == {}
    assert drops(rows, personal_data=["email"]) == {"1": "personal_data_email"}


def test_words_of_a_list_are_found_whole_in_any_script() -> None:
    words = WordList(["Bad", "very  ugly thing", "плохо", "悪い"])
    assert words.find("that is BAD!", "en") == "bad"
    assert words.find("a badge", "en") is None
    assert words.find("A very ugly, thing", "en") == "very ugly thing"
    assert words.find("очень плохо.", "ru") == "плохо"
    assert words.find("とても悪いこと", "ja") == "悪い"
    rows = [row(), row(query_text="b", negative_texts=["a bad word"])]
    assert drops(rows, unsafe_words=["bad"]) == {"1": "unsafe_word"}


def test_what_repeats_a_dropped_sample_stays() -> None:
    rows = [row(negative_texts=["a@acme.org"]), row()]
    assert drops(rows, personal_data=["email"]) == {"0": "personal_data_email"}


def test_releases_name_a_later_rule_only_where_it_is_set() -> None:
    plain = ChecksConfig().as_published()
    assert "max_query_chars" in plain and "max_instruction_repeats" in plain
    assert not plain.keys() & {"contradictions", "near_duplicate_similarity", "personal_data"}
    assert ChecksConfig(contradictions=False).as_published()["contradictions"] is False
