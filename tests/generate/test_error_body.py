"""An error is read out of any JSON: the status it names, and the server's words on one line."""

from typing import Any

import orjson
import pytest

from builder.endpoint.error_body import (
    MAX_WORDS_CHARS,
    UNKNOWN_STATUS,
    error_in_answer,
    error_words,
)
from tests.generate.replies import completion


def with_choice(**fields: Any) -> dict[str, Any]:
    made = completion("", finish_reason="error")
    made["choices"][0] |= fields
    return made


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ({"error": {"message": "slow down", "code": 429}, "user_id": "u"}, 429, "slow down"),
        ({"error": {"message": "slow down", "code": "429"}}, 429, "slow down"),
        ([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}], 503, "busy"),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "used up"}}, 429, "used up"),
        ({"error": "RESOURCE_EXHAUSTED"}, 429, "RESOURCE_EXHAUSTED"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Over"}}, 529, "Over"),
        ({"error": {"type": "RateLimitError", "message": "m"}}, 429, "m"),
        ({"__type": "ThrottlingException", "message": "m"}, 429, "m"),
        ({"error": {"message": "bad key", "code": "invalid_api_key"}}, 401, "bad key"),
        ({"error": {"error": {"code": 402, "message": "pay"}}}, 402, "pay"),
        ({"errors": [{"message": "first", "status": 504}, {"message": "x"}]}, 504, "first: x"),
        ({"code": 429, "message": "flat"}, 429, "flat"),
        ({"detail": "Too Many Requests"}, 429, "Too Many Requests"),
        ({"error": "502 Bad Gateway"}, 502, "502 Bad Gateway"),
        ({"error": {"code": 1302, "message": "own code"}}, UNKNOWN_STATUS, "own code"),
        ({"error": {"message": "who knows"}, "choices": []}, UNKNOWN_STATUS, "who knows"),
        ({"error": {"message": "none"}, "choices": None}, UNKNOWN_STATUS, "none"),
        (
            {"error": {"message": "outer", "metadata": {"raw": '{"error":{"code":429}}'}}},
            429,
            "outer",
        ),
        (with_choice(error={"code": 502, "message": "broke off"}), 502, "broke off"),
        (with_choice(message={"content": None, "error": {"code": 500, "message": "m"}}), 500, "m"),
        (with_choice(), UNKNOWN_STATUS, "the reply ended with the finish reason `error`"),
    ],
)
def test_an_error_inside_an_answer_counts_as_the_status_it_names(
    answer: object, status: int, words: str
) -> None:
    found = error_in_answer(orjson.dumps(answer))
    assert found is not None
    assert (found.status, found.words) == (status, words)


def test_an_empty_answer_is_an_error_of_the_gateway() -> None:
    found = error_in_answer(b" \n")
    assert found is not None
    assert found.status == UNKNOWN_STATUS


@pytest.mark.parametrize(
    "answer",
    [
        completion("text"),
        completion('{"error": {"code": 429, "message": "spoken of"}}'),
        {**completion("text"), "error": None},
        {**completion("text"), "error": {}},
        {**completion(None), "choices": []},
        completion(None),
        completion("cut", finish_reason="length"),
        {"hello": "world"},
        [],
        "text",
        None,
    ],
)
def test_what_is_no_error_is_left_to_those_who_read_replies(answer: object) -> None:
    assert error_in_answer(orjson.dumps(answer)) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail":[{"loc":["body","a"],"msg":"Extra","input":{"message":"huge"}}]}', "a"),
        (
            b'{"error":{"message":"red \\u001b[31m text \\u202e\\n\\nand more"}}',
            "red [31m text and",
        ),
        (b"<html><title>502</title><style>a{}</style><h1>bad&nbsp;day</h1></html>", "502 bad day"),
        (b"plain words\x00.", "plain words"),
        (b'{"error": "' + b"long " * 10_000 + b'"}', "long long"),
        (b'{"a":' * 5_000, '{"a"'),
        (b"[" * 50_000, "["),
        (b"", ""),
    ],
)
def test_words_are_one_bounded_line_without_control_characters(body: bytes, words: str) -> None:
    found = error_words(body)
    assert words in found
    assert "huge" not in found
    assert len(found) <= MAX_WORDS_CHARS + 2
    assert found.isprintable()
