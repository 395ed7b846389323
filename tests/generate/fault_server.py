"""An OpenAI-compatible server on loopback that fails on schedule.

What happens to a request is decided by its job's seed, so that it does not
depend on the order in which requests come. Run it by itself with
`python -m tests.generate.fault_server --port P [--faults FILE]`.
"""

import argparse
import asyncio
import email.utils
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from tests.generate.replies import Asked, completion, valid_evaluation, valid_reply

#: Faults by name; each takes the text of a valid reply and gives a completion.
_CONTENT_FAULTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "empty_choices": lambda text: {**completion(text), "choices": []},
    "refusal": lambda text: completion(None, refusal="I cannot help with that."),
    "spoken_refusal": lambda text: completion("I'm sorry, but I can't help with this picture."),
    "content_filter": lambda text: completion("", finish_reason="content_filter"),
    "truncated": lambda text: completion(text[: len(text) * 2 // 3], finish_reason="length"),
    "truncated_unsaid": lambda text: completion(text[: len(text) * 2 // 3]),
    "prose": lambda text: completion(f"Here is the sample you asked for:\n\n{text}\n\nEnjoy!"),
    "thought": lambda text: completion(f'I write {{"draft": ...}} first.\n</think>\n{text}'),
    "fenced": lambda text: completion(f"```json\n{text}\n```"),
    "trailing_comma": lambda text: completion(text[:-2] + ",}}"),
    "duplicate_key": lambda text: completion(text[:-1] + ',"revision":{"instruction":"twice"}}'),
    "ascii": lambda text: completion(_ascii(text)),
    "lone_surrogate": lambda text: completion(text.replace("case", "\\ud83d case")),
    "whitespace": lambda text: completion("{" + "\n" * 50_000, finish_reason="length"),
    "not_json": lambda text: completion("There is nothing to say about this picture."),
    "wrong_fields": lambda text: completion('{"answer": 42}'),
    "wrong_roles": lambda text: completion(text.replace('"image":"', '"image":"no ')),
    "null_content": lambda text: completion(None),
    "not_a_completion": lambda text: {"hello": "world"},
}
#: "schema_flood" is the fault "whitespace", but only where anything but plain text is asked for.
#: Faults that pass when the same request comes again.
PASSING = (
    *("429", "429_after", "429_date", "500", "503", "reset", "slow", "timeout"),
    *("502_once", "error_in_200", "error_in_choice"),
)


@dataclass(slots=True)
class Faults:
    """What goes wrong, and how often.

    Args:
        rates: Share of jobs that meet each fault, by name.
        languages: Share of jobs of a language that are answered in another one.
        mended_by_correction: Whether corrective requests get valid replies.
        latency_s: Before each answer.
        always: One fault for every request.
        formats: What `response_format` is taken: "json_schema", "json_object", "text".
        capacity: Requests at once before 429s, if bounded.
        counts_tokens: Whether replies say their `usage`.
        echo_key: Whether errors and answers repeat the Authorization header.
        key: The only key that is let in; None lets everybody in.
    """

    rates: dict[str, float] = field(default_factory=dict)
    languages: dict[str, float] = field(default_factory=dict)
    mended_by_correction: bool = True
    latency_s: float = 0.0
    always: str | None = None
    formats: tuple[str, ...] = ("json_schema", "json_object", "text")
    capacity: int | None = None
    echo_key: bool = False
    counts_tokens: bool = True
    key: str | None = None


class FaultServer:
    """The server; counts what it saw.

    Args:
        faults: The schedule; may be changed while it runs.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.num_requests = 0
        self.num_at_once = 0
        self.most_at_once = 0
        self.answered: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.num_samples_asked = 0
        self.statuses: Counter[int] = Counter()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> str:
        """Listens on loopback; returns the base URL."""
        app = web.Application(client_max_size=2**30)
        self.add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=2048)
        await site.start()
        server = site._server
        assert server is not None
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"  # type: ignore[attr-defined]
        return self.url

    def add_routes(self, app: web.Application) -> None:
        """Adds the endpoints."""
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/stats", self._stats)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _stats(self, request: web.Request) -> web.Response:
        repeated = sum(num - 1 for num in self.answered.values())
        stats = {"num_requests": self.num_requests, "num_paid_twice": repeated}
        return web.json_response(stats)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.num_requests += 1
        self.num_at_once += 1
        self.most_at_once = max(self.most_at_once, self.num_at_once)
        try:
            response = await self._answer(request, body)
        finally:
            self.num_at_once -= 1
        self.statuses[response.status] += 1
        return response

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        faults = self.faults
        told = request.headers.get("Authorization", "")
        if faults.key is not None and told != f"Bearer {faults.key}":
            return _error(401, f"Incorrect API key provided: {told}")
        content = orjson.loads(body)
        kind = (content.get("response_format") or {"type": "text"})["type"]
        if kind not in faults.formats:
            return _error(400, f"response_format {kind} is not supported by this model")
        if faults.capacity is not None and self.num_at_once > faults.capacity:
            return _error(429, "too many requests")
        if faults.latency_s:
            await asyncio.sleep(faults.latency_s)
        digest = hashlib.sha256(orjson.dumps(content["messages"])).hexdigest()
        self.asked[digest] += 1
        if is_hello(content):
            response = await self._fail(request, faults.always, 1)
            return response or web.json_response(completion("hello"))
        asked = Asked(content["messages"][1]["content"][0]["text"])
        is_correction = len(content["messages"]) > 2
        fault = faults.always or self._fault(asked, is_correction)
        response = await self._fail(request, fault, self.asked[digest])
        if response is not None:
            return response
        reply = valid_reply(asked)
        self.num_samples_asked += not is_judge(content)
        if is_judge(content):
            reply = valid_evaluation()
        elif not is_correction and _draw(asked.seed, "language") < faults.languages.get(
            asked.language, 0.0
        ):
            reply = valid_reply(asked, "ru" if asked.language != "ru" else "en")
        text = orjson.dumps(reply).decode()
        self.answered[digest] += 1
        if fault == "schema_flood" and kind != "text":
            fault = "whitespace"
        made = _CONTENT_FAULTS[fault](text) if fault in _CONTENT_FAULTS else completion(text)
        if faults.echo_key:
            made["system_fingerprint"] = told
        if not faults.counts_tokens:
            made.pop("usage", None)
        return web.Response(body=orjson.dumps(made), content_type="application/json")

    def _fault(self, asked: Asked, is_correction: bool) -> str | None:
        if is_correction and self.faults.mended_by_correction:
            return None
        drawn = _draw(asked.seed, "fault")
        for name, rate in self.faults.rates.items():
            if drawn < rate:
                return name
            drawn -= rate
        return None

    async def _fail(
        self, request: web.Request, fault: str | None, num_asked: int
    ) -> web.StreamResponse | None:
        passes = num_asked > 1 and self.faults.always is None
        is_about_content = fault in _CONTENT_FAULTS or fault == "schema_flood"
        if fault is None or is_about_content or (fault in PASSING and passes):
            return None
        said = request.headers.get("Authorization", "") if self.faults.echo_key else ""
        match fault:
            case "429":
                return _error(429, f"slow down {said}")
            case "429_after":
                return _error(429, "slow down", {"Retry-After": "1"})
            case "429_date":
                date = email.utils.formatdate(time.time() + 1, usegmt=True)
                return _error(429, "slow down", {"Retry-After": date})
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=499)  # nobody sees it
            case "timeout":
                await asyncio.sleep(30)
                return web.Response(status=499)
            case "slow":
                response = web.StreamResponse()
                await response.prepare(request)
                for _ in range(200):
                    await response.write(b" ")
                    await asyncio.sleep(0.05)
                return response
            case "502_once":
                return _error(502, f"scripted 502 {said}")
            case "error_in_200":
                error = {"message": f"upstream is busy {said}", "code": 429}
                return web.json_response({"error": error, "user_id": "u"})
            case "error_in_choice":
                made = completion("", finish_reason="error")
                made["choices"][0]["error"] = {"message": f"it broke off {said}", "code": "502"}
                return web.json_response(made)
            case "quota":
                return _error(429, "insufficient_quota: you exceeded your current quota")
            case _:
                return _error(int(fault), f"scripted {fault} {said}")


def is_hello(content: dict[str, Any]) -> bool:
    """Whether a request only asks whether any is taken."""
    return len(content["messages"]) == 1


def is_judge(content: dict[str, Any]) -> bool:
    """Whether a request asks for an evaluation alone."""
    return "Seed:" not in content["messages"][1]["content"][0]["text"]


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = orjson.dumps({"error": {"message": message, "type": "scripted"}})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _draw(seed: int, what: str) -> float:
    digest = hashlib.sha256(f"{what} {seed}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _ascii(text: str) -> str:
    return "".join(
        char
        if char.isascii()
        else "".join(
            f"\\u{int.from_bytes(char.encode('utf-16-be')[i : i + 2]):04x}"
            for i in range(0, len(char.encode("utf-16-be")), 2)
        )
        for char in text
    )


def main() -> None:
    """Serves until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--faults", type=orjson.loads, default={})
    arguments = parser.parse_args()

    async def serve() -> None:
        server = FaultServer(Faults(**arguments.faults))
        print(await server.start(arguments.port), flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
