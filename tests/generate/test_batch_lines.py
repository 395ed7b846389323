"""Lines of results are told apart by their key, however broken what they hold is."""

import orjson
import pytest

from builder.endpoint.completion import read_completion
from builder.generate.batch_lines import read_line
from tests.generate.replies import completion

KEY, OTHER = "a1" * 32, "b2" * 32


def line(response: object, key: str = KEY) -> bytes:
    return orjson.dumps({"id": "r", "response": response, "error": None, "custom_id": key})


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (line({"status_code": 200, "body": completion("x")}), 200),
        (line({"status_code": 400, "body": {"error": "no"}}), 400),
        (line({"status_code": 503, "body": {}}), 503),
        (line({"body": completion("x")}), 200),
        (line(None), 0),
        (line({"status_code": 500}), 0),
        (line({"status_code": 200, "body": completion("x")})[1:], 200),
    ],
)
def test_status_and_key_are_found(raw: bytes, status: int) -> None:
    found = read_line(raw)
    assert found is not None
    assert (found.key, found.status) == (KEY, status)


def test_a_key_spoken_of_in_a_reply_is_not_the_lines_own() -> None:
    text = orjson.dumps({"custom_id": OTHER}).decode()
    found = read_line(line({"status_code": 200, "body": completion(text)}))
    assert found is not None
    assert found.key == KEY


@pytest.mark.parametrize("raw", [b"", b"null", b'{"custom_id":"short"}', b"\xff\x00", b"{" * 9000])
def test_what_is_nobodys_result_is_passed_over(raw: bytes) -> None:
    assert read_line(raw) is None


@pytest.mark.parametrize("half", [rb"\ud83d", b"\xed\xa0\xbd"])
def test_a_reply_is_read_from_its_line_with_half_a_surrogate_pair_too(half: bytes) -> None:
    raw = line({"status_code": 200, "body": completion("HALF text")}).replace(b"HALF", half)
    found = read_line(raw)
    assert found is not None
    assert found.status == 200
    completed = read_completion(raw)
    assert completed.content == "\ud83d text"
    assert completed.usage.completion_tokens == 900


def test_a_line_that_is_no_json_is_a_paid_reply_that_cannot_be_read() -> None:
    raw = line({"status_code": 200, "body": completion("x")})[1:]
    assert read_completion(raw).problem == "not_a_completion"
