"""What an endpoint's refusals mean, and what is never said aloud."""

import asyncio
import email.utils
import time

import orjson
import pytest
from aiohttp import web

from builder.config import TeacherConfig
from builder.cost.price import Price, price_of
from builder.endpoint.capabilities import (
    Capabilities,
    read_capabilities,
    step_down,
    write_capabilities,
)
from builder.endpoint.client import Endpoint, retry_after_s
from builder.endpoint.completion import Usage
from builder.endpoint.health import EndpointError

KEY = "sk-secret-0123456789"


def endpoint(base_url: str = "http://user:pass@127.0.0.1:1/v1?token=t") -> Endpoint:
    return Endpoint(TeacherConfig(model="m", base_url=base_url), key=KEY)


def body(message: str) -> bytes:
    return orjson.dumps({"error": {"message": message}})


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "bad key", "fatal"),
        (402, "pay", "fatal"),
        (403, "no", "forbidden"),
        (404, "model not found", "fatal"),
        (429, "insufficient_quota", "fatal"),
        (429, "slow down", "pushback"),
        (503, "busy", "pushback"),
        (529, "overloaded", "pushback"),
        (500, "oops", "trouble"),
        (502, "<html>bad gateway</html>", "trouble"),
        (408, "late", "trouble"),
        (400, "image too large", "refused"),
        (413, "too large", "refused"),
        (422, "unprocessable", "refused"),
    ],
)
def test_each_status_has_its_meaning(status: int, message: str, kind: str) -> None:
    error = endpoint().status_error(status, body(message))
    assert error.kind == kind
    assert error.what == f"http_{status}"
    assert str(status) in error.message


def test_no_message_holds_the_key_or_an_addresss_secrets() -> None:
    error = endpoint().status_error(401, body(f"Incorrect API key provided: {KEY}"))
    assert KEY not in error.message
    assert KEY.encode() not in error.body
    assert "[key]" in error.message
    assert "pass" not in error.message
    assert "token=t" not in error.message


def test_retry_after_is_read_as_seconds_milliseconds_or_a_date() -> None:
    assert retry_after_s({"retry-after": "7"}) == 7.0
    assert retry_after_s({"retry-after": "0.5"}) == 0.5
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after_s({"retry-after": date}) == pytest.approx(30, abs=2)
    assert retry_after_s({"retry-after": "-3"}) == 0.0
    assert retry_after_s({"retry-after": "soon"}) is None
    assert retry_after_s({}) is None


def test_capabilities_step_down_one_at_a_time_and_only_when_named() -> None:
    first = Capabilities()
    second = step_down(first, body("response_format json_schema is not supported"), "auto")
    assert second == Capabilities("json_object")
    assert second is not None
    third = step_down(second, body("Unknown field response_format"), "auto")
    assert third == Capabilities("text")
    assert third is not None
    assert step_down(third, body("response_format"), "auto") is None
    assert step_down(first, body("image too large"), "auto") is None
    assert step_down(first, body("json_schema not supported"), "json_schema") is None
    tokens = step_down(first, body("Unsupported parameter: 'max_completion_tokens'"), "auto")
    assert tokens == Capabilities(tokens_field="max_tokens")
    warm = step_down(first, body("temperature does not support 0.7 with this model"), "auto")
    assert warm == Capabilities(takes_temperature=False)
    assert read_capabilities(write_capabilities(third)) == third


def test_without_a_key_and_an_address_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(EndpointError, match=r"OPENAI_API_KEY is not set.*builder teacher"):
        Endpoint(TeacherConfig(model="m"))


def test_an_address_that_is_none_is_said_so() -> None:
    async def scenario() -> None:
        await Endpoint(TeacherConfig(model="m", base_url="http://[::1"), key=KEY).close()

    with pytest.raises(EndpointError, match="not a valid URL"):
        asyncio.run(scenario())


#: Headers of one request alone, or about waiting and transport.
_PASSING = {
    "connection",
    "content-length",
    "x-stainless-retry-count",
    "x-stainless-read-timeout",
    "host",
}


def test_a_call_carries_the_headers_of_the_openai_client_the_key_among_them() -> None:
    seen: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.json_response({"id": "x", "object": "chat.completion", "choices": []})

    async def scenario() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        calling = endpoint(f"http://127.0.0.1:{port}/v1")
        keyless = Endpoint(TeacherConfig(model="m", base_url=f"http://127.0.0.1:{port}/v1"))
        try:
            await calling.send(b'{"messages":[],"model":"m"}')
            await calling.openai.chat.completions.create(model="m", messages=[])
            await keyless.send(b"{}")
        finally:
            await calling.close()
            await keyless.close()
            await runner.cleanup()

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OPENAI_API_KEY", raising=False)
        asyncio.run(scenario())
    ours, theirs, without_key = (
        {name: value for name, value in headers.items() if name not in _PASSING} for headers in seen
    )
    assert ours == theirs
    assert ours["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in without_key


def test_prices_come_from_the_configuration_then_from_the_table() -> None:
    given = TeacherConfig.model_validate(
        {"model": "mine", "prices": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 4.0}}
    )
    price = price_of(given)
    assert price == Price(1.0, 4.0, 1.0)
    assert price is not None
    assert price.cost_usd(Usage(1_000_000, 500_000)) == 3.0
    assert price_of(TeacherConfig(model="a-model-nobody-sells")) is None
    listed = price_of(TeacherConfig(model="gpt-4o-2024-08-06"))
    assert listed is not None
    assert listed.cached < listed.input < listed.output
    assert listed.cost_usd(Usage(1_000, 0, 1_000)) < listed.cost_usd(Usage(1_000, 0, 0))
