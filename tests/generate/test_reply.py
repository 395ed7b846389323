"""The repair ladder: what is read, what is asked for again, what is dropped."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.endpoint.completion import Completion, Usage, read_completion, remove_flood
from builder.generate.reply import Read, Unreadable, read_evaluation, read_reply
from schemas.reply import reply_schema
from schemas.vocabulary import CELLS, Cell
from tests.generate.fault_server import _CONTENT_FAULTS
from tests.generate.replies import Asked, valid_evaluation, valid_reply

CELL = Cell("retrieval", "IT->IT")
ASKED = Asked(
    "Task type: retrieval\nModality combination: IT->IT\nLanguage: Japanese (ja)\nSeed: 12345"
)
TEXT = orjson.dumps(valid_reply(ASKED)).decode()


def completion(content: str, finish_reason: str | None = "stop") -> Completion:
    return Completion(content, finish_reason, None, Usage())


def read(content: str, finish_reason: str | None = "stop") -> Read | Unreadable:
    return read_reply(CELL, completion(content, finish_reason))


@pytest.mark.parametrize("place", [1, 200, -1])
def test_half_a_surrogate_pair_as_it_stands_is_named(place: int) -> None:
    found = read(TEXT[:place] + "\ud83d" + TEXT[place:])
    assert isinstance(found, Unreadable)
    assert found.reason == "lone_surrogate"
    assert found.error is not None


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_valid_reply_of_every_cell_is_read_without_repair(cell: Cell) -> None:
    asked = Asked(
        f"Task type: {cell.task_type}\nModality combination: {cell.modality}\n"
        "Language: Arabic (ar)\nSeed: 7"
    )
    found = read_reply(cell, completion(orjson.dumps(valid_reply(asked)).decode()))
    assert isinstance(found, Read)
    assert not found.repaired


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("prose", None),
        ("fenced", None),
        ("ascii", None),
        ("trailing_comma", None),
        ("empty_choices", "empty_choices"),
        ("refusal", "refusal"),
        ("spoken_refusal", "refusal"),
        ("content_filter", "content_filter"),
        ("truncated", "truncated"),
        ("truncated_unsaid", "truncated"),
        ("duplicate_key", "duplicate_key"),
        ("lone_surrogate", "lone_surrogate"),
        ("whitespace", "whitespace_flood"),
        ("not_json", "not_json"),
        ("wrong_fields", "wrong_fields"),
        ("wrong_roles", "wrong_fields"),
        ("null_content", "empty_content"),
        ("not_a_completion", "not_a_completion"),
    ],
)
def test_every_fault_is_read_or_has_its_own_reason(fault: str, reason: str | None) -> None:
    body = orjson.dumps(_CONTENT_FAULTS[fault](TEXT))
    found = read_reply(CELL, read_completion(body))
    if reason is None:
        assert isinstance(found, Read)
        assert found.value.revision.positive_text == valid_reply(ASKED)["revision"]["positive_text"]
    else:
        assert isinstance(found, Unreadable)
        assert found.reason == reason


@pytest.mark.parametrize("finish_reason", ["stop", "length", None])
@pytest.mark.parametrize(
    "content",
    [
        "\n" * 5000,
        "{" + "\n" * 5000,
        '{\n"interpretations":' + " \n\t" * 5000,
        TEXT[:700] + "\n" * 5000,
        TEXT[:-1] + "\n" * 5000,
        TEXT[:700] + "\n" * 5000 + "}",
    ],
)
def test_a_flood_of_white_space_is_named_so_and_asked_for_again_however_it_ended(
    content: str, finish_reason: str | None
) -> None:
    found = read(content, finish_reason)
    assert isinstance(found, Unreadable)
    assert found.reason == "whitespace_flood"
    assert "white space" in (found.error or "")


@pytest.mark.parametrize(
    ("content", "finish_reason", "reason"),
    [(" \n", "stop", "empty_content"), (" \n", "length", "truncated"), ("", None, "empty_content")],
)
def test_a_little_white_space_is_no_flood(content: str, finish_reason: str, reason: str) -> None:
    assert read(content, finish_reason) == Unreadable(reason)


@given(st.text(st.sampled_from(" \n\tab{}\u3000"), max_size=200), st.integers(0, 600))
def test_floods_are_removed_and_nothing_else(text: str, num: int) -> None:
    assert remove_flood(text) is None
    without_flood = remove_flood(f"{text}x{' ' * num}y")
    assert without_flood == (None if num <= 200 else f"{text}x\ny".strip())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("finish_reason", ["stop", "length", None])
def test_a_truncated_reply_is_never_repaired(share: float, finish_reason: str | None) -> None:
    found = read(TEXT[: int(len(TEXT) * share)], finish_reason)
    assert isinstance(found, Unreadable)
    assert found.reason == "truncated"
    assert found.error is None


def test_a_reply_cut_inside_its_closing_braces_counts_as_truncated() -> None:
    found = read(TEXT[:-1])
    assert isinstance(found, Unreadable)
    assert found.reason == "truncated"


def test_broken_json_is_repaired_only_when_the_model_itself_stopped() -> None:
    broken = TEXT[:-2] + ",}}"
    repaired = read(broken)
    assert isinstance(repaired, Read)
    assert repaired.repaired
    unsaid = read(broken, None)
    assert isinstance(unsaid, Unreadable)
    assert unsaid.reason == "not_json"


def test_a_key_given_twice_is_ambiguous_even_if_the_last_one_fits() -> None:
    twice = TEXT.replace('"general":', '"general":"first","general":', 1)
    found = read(twice)
    assert isinstance(found, Unreadable)
    assert found.reason == "duplicate_key"
    assert "general" in (found.error or "")


@pytest.mark.parametrize("colon", [" :", "\n:", "\t :"])
def test_a_key_given_twice_is_found_whatever_stands_before_its_colon(colon: str) -> None:
    found = read(TEXT.replace('"positive_text":', f'"positive_text"{colon}"A","positive_text":'))
    assert isinstance(found, Unreadable)
    assert found.reason == "duplicate_key"
    assert "positive_text" in (found.error or "")


def test_a_key_given_twice_is_named_even_where_another_is_missing() -> None:
    found = read(TEXT.replace('"general":', '"objects":"first","objects":', 1))
    assert isinstance(found, Unreadable)
    assert found.reason == "duplicate_key"


@pytest.mark.parametrize("key", ["'general'", "general", "\u201cgeneral\u201d"])
def test_broken_json_with_a_key_twice_is_not_repaired_into_either(key: str) -> None:
    found = read(TEXT.replace('"general":', f'{key}:"first","general":', 1))
    assert isinstance(found, Unreadable)
    assert found.reason == "not_json"


def test_text_that_looks_like_a_key_is_no_second_key() -> None:
    reply = valid_reply(ASKED)
    reply["evaluation"]["improvements"] = 'write {"general": "x"} instead'
    assert isinstance(read(orjson.dumps(reply).decode()), Read)


def test_interpretations_must_cover_the_attached_images_each_once() -> None:
    reply = valid_reply(ASKED)
    reply["interpretations"].reverse()
    found = read(orjson.dumps(reply).decode())
    assert isinstance(found, Read)
    assert [entry.image for entry in found.value.interpretations] == list(CELL.image_roles)
    reply["interpretations"].pop()
    missing = read(orjson.dumps(reply).decode())
    assert isinstance(missing, Unreadable)
    assert missing.reason == "wrong_interpretations"
    assert "query, positive, negative" in (missing.error or "")


def test_a_thought_before_the_json_is_left_out() -> None:
    body = orjson.dumps(
        {
            "choices": [
                {
                    "message": {"content": f"<think>Hm {{}}.</think>\n{TEXT}"},
                    "finish_reason": "stop",
                }
            ]
        }
    )
    assert isinstance(read_reply(CELL, read_completion(body)), Read)


def test_a_score_must_be_a_whole_number_from_1_to_5() -> None:
    for score in (
        "6",
        "0",
        "4.5",
        "null",
        "true",
        '"6"',
        '"4.5"',
        '"four"',
        '" 4"',
        '"\u0664"',
        "[4]",
    ):
        found = read(TEXT.replace('"score":4', f'"score":{score}', 1))
        assert isinstance(found, Unreadable)
        assert "evaluation.relevance.score" in (found.error or "")


@pytest.mark.parametrize("score", ["2.0", '"2"', "2e0"])
def test_a_whole_number_written_otherwise_is_a_score(score: str) -> None:
    found = read(TEXT.replace('"score":4', f'"score":{score}', 1))
    assert isinstance(found, Read)
    assert not found.repaired
    assert found.value.evaluation.relevance.score == 2
    assert isinstance(found.value.evaluation.relevance.score, int)


def test_the_endpoint_is_asked_for_integer_scores() -> None:
    asked_for = reply_schema(CELL)["$defs"]["ReplyCriterion"]["properties"]["score"]
    assert asked_for == {"maximum": 5, "minimum": 1, "title": "Score", "type": "integer"}


def test_white_space_around_a_whole_reply_does_no_harm() -> None:
    assert isinstance(read("\n" * 100_000 + TEXT + " " * 100_000), Read)


def test_a_judges_reply_is_read_by_the_same_ladder() -> None:
    text = orjson.dumps(valid_evaluation()).decode()
    assert isinstance(read_evaluation(completion(f"```json\n{text}\n```")), Read)
    assert isinstance(read_evaluation(completion(text[:40])), Unreadable)


@given(st.text(max_size=300), st.sampled_from(["stop", "length", None]))
def test_no_text_breaks_the_reader(content: str, finish_reason: str | None) -> None:
    assert isinstance(read(content, finish_reason), Unreadable)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_envelope(body: bytes) -> None:
    read_reply(CELL, read_completion(body))


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_no_single_damaged_character_breaks_the_reader(place: int, char: str) -> None:
    read(TEXT[:place] + char + TEXT[place + 1 :])
