"""The table of an endpoint's signals says what the code does."""

import re

import pytest

from builder.endpoint import health
from builder.endpoint.health import FailureKind, SendError, kind_of_status


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((429, 503, 529), "pushback"),
        ((408, 409, 425, 500, 502, 504, 599), "trouble"),
        ((400, 413, 415, 422), "refused"),
        ((403,), "forbidden"),
        ((401, 402, 404), "fatal"),
    ],
)
def test_each_status_is_of_the_kind_the_table_names(
    statuses: tuple[int, ...], kind: FailureKind
) -> None:
    assert {kind_of_status(status) for status in statuses} == {kind}
    assert kind_of_status(429, is_out_of_credit=True) == "fatal"
    assert kind_of_status(500, is_out_of_credit=True) == "trouble"


def test_only_pushbacks_and_calls_that_took_too_long_slow_down() -> None:
    def slows_down(kind: FailureKind, what: str) -> bool:
        return SendError(kind, what, "").is_overload

    assert slows_down("pushback", "http_503")
    assert slows_down("trouble", "timeout") and slows_down("trouble", "connect_timeout")
    assert not slows_down("trouble", "http_500") and not slows_down("trouble", "no_connection")


def test_the_numbers_in_the_table_are_those_of_the_constants() -> None:
    table = " ".join((health.__doc__ or "").split())
    for number in (
        f"× {health.DECREASE}",
        f"{health.MAX_FORBIDDEN_REQUESTS} requests",
        f"{health.MAX_DROPPED_IN_A_ROW} jobs",
        f"{health.MAX_DROPPED_FIRST} before",
        f"after {health.NEVER_ANSWERED_S:g} s",
        f"get {health.GRACE_S:g} s more",
    ):
        assert number in table
    assert re.search(rf"times nothing but .* {health.PUSHBACKS_PER_ATTEMPT} of them", table)
