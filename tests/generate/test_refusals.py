"""What an endpoint refuses is found by experiment, in tens of requests, and said in its words."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from aiohttp import web
from PIL import Image

from builder.endpoint.health import EndpointError
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace, open_workspace
from tests.generate.conftest import build, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]
#: Whether a server refuses a request.
Refuses = Callable[[dict[str, Any]], bool]

FREE = {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}
NUM = 24
#: Beyond these, whatever is refused is found.
MAX_EXTRA_REQUESTS = 40


class Provider(FaultServer):
    """Refuses what `refuses` says, in the words of `said`."""

    refuses: Refuses = staticmethod(lambda content: False)
    said: object = {"error": {"message": "it cannot be done"}}
    status = 400

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        content = orjson.loads(body)
        if self.refuses(content):
            raw = self.said if isinstance(self.said, str) else orjson.dumps(self.said).decode()
            return web.Response(status=self.status, text=raw)
        return await super()._answer(request, body)


def provider(
    serve: Serve, refuses: Refuses, said: object = Provider.said, status: int = 400
) -> Provider:
    server = serve(make=Provider)
    assert isinstance(server, Provider)
    server.refuses, server.said, server.status = refuses, said, status
    return server


def has_schema(content: dict[str, Any]) -> bool:
    return (content.get("response_format") or {}).get("type") == "json_schema"


def images_of(content: dict[str, Any]) -> list[str]:
    parts = [message["content"] for message in content["messages"]]
    found = [part for content in parts if isinstance(content, list) for part in content]
    return [part["image_url"]["url"] for part in found if part["type"] == "image_url"]


def limit_of(content: dict[str, Any]) -> int:
    return content.get("max_completion_tokens") or content.get("max_tokens") or 0


def config(num: int = NUM, **teacher: object) -> Any:
    fields = {"model": "scripted", "timeout_s": 5, "prices": FREE, **teacher}
    return make_config(num, teacher=fields)


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (400, [{"error": {"code": 400, "message": "no field $defs"}}], "no field $defs"),
        (400, {"error": {"code": 400, "message": "too many states"}}, "too many states"),
        (400, {"error": {"message": "the grammar cannot be parsed"}}, "the grammar"),
        (422, {"detail": [{"loc": ["body"], "msg": "unexpected value"}]}, "unexpected value"),
        (400, {"errors": [{"title": "nope"}]}, "nope"),
        (400, "request rejected", "request rejected"),
        (400, {"error": {"message": "temperature and max_tokens are wrong"}}, "are wrong"),
    ],
)
def test_a_refused_schema_is_found_whatever_the_server_calls_it(
    serve: Serve,
    new_workspace: NewWorkspace,
    caplog: pytest.LogCaptureFixture,
    status: int,
    said: object,
    words: str,
) -> None:
    server = provider(serve, has_schema, said, status)
    assert build(new_workspace(), config()).num_kept == NUM
    assert server.num_requests <= NUM + MAX_EXTRA_REQUESTS
    assert "refuses response_format json_schema for" in caplog.text
    assert words in caplog.text and "structured_output: json_object" in caplog.text
    assert "temperature for" not in caplog.text


@pytest.mark.parametrize(
    ("refuses", "missing"),
    [
        (lambda content: "max_completion_tokens" in content, "max_completion_tokens"),
        (lambda content: "temperature" in content, "temperature"),
        (lambda content: "seed" in content, "seed"),
        (lambda content: "seed" in content or has_schema(content), "json_schema, seed"),
        (
            lambda content: "max_completion_tokens" in content or "temperature" in content,
            "max_completion_tokens, temperature",
        ),
        (
            lambda content: any(url.startswith("data:image/png") for url in images_of(content)),
            "image/png (sent as image/jpeg)",
        ),
    ],
)
def test_each_field_and_format_that_is_refused_is_left_out_and_named_once(
    serve: Serve,
    new_workspace: NewWorkspace,
    caplog: pytest.LogCaptureFixture,
    refuses: Refuses,
    missing: str,
) -> None:
    server, workspace = provider(serve, refuses), new_workspace()
    asked = config(extra_body={"seed": 7, "top_p": 0.9})
    assert build(workspace, asked).num_kept == NUM
    assert server.num_requests <= NUM + MAX_EXTRA_REQUESTS
    assert caplog.text.count(f"{missing} for model scripted") == 1
    assert caplog.text.count("go without from now on") == 1
    before = server.num_requests
    more = config(2 * NUM, extra_body={"seed": 7, "top_p": 0.9})
    assert build(workspace, more).num_kept == 2 * NUM
    assert server.num_requests == before + NUM  # it was remembered


def test_a_context_that_is_too_small_names_the_number_to_lower_in_the_same_workspace(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    said = {"error": {"message": "max_completion_tokens is too large: context of 4096"}}
    server = provider(serve, lambda content: limit_of(content) > 1_200, said)
    workspace = new_workspace()
    with pytest.raises(EndpointError, match=r"max_completion_tokens` \(2500\).*context of 4096"):
        build(workspace, config())
    assert server.num_requests <= MAX_EXTRA_REQUESTS
    assert build(workspace, config(max_completion_tokens=1_000)).num_kept == NUM
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}


@pytest.mark.parametrize("words", ["API key not valid", "unknown model", "credit is used up"])
def test_an_endpoint_that_takes_nothing_is_told_in_its_own_words_within_tens_of_requests(
    serve: Serve, new_workspace: NewWorkspace, words: str
) -> None:
    server = provider(serve, lambda content: True, [{"error": {"message": words}}])
    workspace = new_workspace()
    with pytest.raises(EndpointError, match=f"refuses every request.*{words}") as caught:
        build(workspace, config())
    assert "Is the server up" not in str(caught.value)
    assert server.num_requests <= MAX_EXTRA_REQUESTS
    server.refuses = lambda content: False
    assert build(workspace, config()).num_kept == NUM
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}


def test_an_account_that_runs_dry_half_way_drops_no_job(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = provider(serve, lambda content: False, {"error": {"message": "credit balance: 0"}})
    server.refuses = lambda content: server.num_requests > 20
    workspace = new_workspace()
    with pytest.raises(EndpointError, match=r"refuses every request.*credit balance: 0"):
        build(workspace, config(60))
    assert server.num_requests <= 20 + 3 * 16 + MAX_EXTRA_REQUESTS
    server.refuses = lambda content: False
    build(workspace, config(60))
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts().get("http_400", 0) <= 2


def test_a_server_of_one_image_names_the_cell_and_the_workspace_goes_on_without_it(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    said = {"error": {"message": "at most 1 image may be given"}}
    server = provider(serve, lambda content: len(images_of(content)) > 1, said)
    workspace = new_workspace()
    with pytest.raises(EndpointError, match=r"fewer than the \d images.*at most 1 image") as caught:
        build(workspace, config())
    assert "modality_shares" in str(caught.value)
    assert server.num_requests <= NUM + MAX_EXTRA_REQUESTS
    one_image = {"classification": {"I->T": 1}, "vqa": {"IT->T": 1}, "retrieval": {"I->T": 1}}
    fields = {"model": "scripted", "prices": FREE}
    fewer = make_config(NUM, teacher=fields, modality_shares=one_image)
    assert build(workspace, fewer).balance.is_met


def test_a_model_that_reads_no_images_is_said_to(serve: Serve, new_workspace: NewWorkspace) -> None:
    server = provider(serve, lambda content: bool(images_of(content)))
    with pytest.raises(EndpointError, match=r"not their images.*Use a model that reads images"):
        build(new_workspace(), config())
    assert server.num_requests <= MAX_EXTRA_REQUESTS


def test_requests_that_are_too_large_name_the_side_of_images(serve: Serve, tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "large", create=True)
    random = np.random.default_rng(1)
    with ImageStore(workspace.images_dir) as store:
        for number in range(12):
            pixels = random.integers(0, 255, (300, 300, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            store.add(buffer.getvalue(), group=f"g{number}", licence="cc0-1.0", source="test")

    def is_large(content: dict[str, Any]) -> bool:
        return sum(map(len, images_of(content))) > 100_000

    server = provider(serve, is_large, "<html><h1>Request Entity Too Large</h1></html>", 413)
    with pytest.raises(EndpointError, match=r"Request Entity Too Large.*images\.max_side_px"):
        build(workspace, config())
    assert server.num_requests <= MAX_EXTRA_REQUESTS
    fields = {"model": "scripted", "prices": FREE}
    small = make_config(
        NUM, teacher=fields, images={"embedder": "descriptor", "window": (-1, 1), "max_side_px": 64}
    )
    assert build(workspace, small).num_kept == NUM


def test_refusals_of_the_draw_are_asked_again_and_teach_nothing(
    serve: Serve, new_workspace: NewWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    server = provider(serve, lambda content: server.num_requests % 4 == 0)
    assert build(new_workspace(), config(60)).num_kept == 60
    assert server.num_requests <= 60 / 0.75 + 12
    assert "go without" not in caplog.text


def test_a_request_refused_for_itself_is_dropped_and_the_others_are_kept(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve(Faults(rates={"451": 0.1}))  # a status of moderation
    summary = build(new_workspace(), config(80))
    assert summary.num_kept == 80
    assert set(summary.dropped) == {"http_451"}
    assert server.num_requests <= 80 + 4 * summary.dropped["http_451"] + MAX_EXTRA_REQUESTS


def test_passing_errors_cost_nothing_and_few_requests(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    num, kinds = 200, ("error_in_200", "error_in_choice", "429", "502_once", "reset")
    server = serve(Faults(rates=dict.fromkeys(kinds, 0.2 / len(kinds))))
    workspace = new_workspace()
    priced = make_config(num)
    summary = build(workspace, priced)
    assert (summary.num_kept, summary.dropped) == (num, {})
    assert sum(server.answered.values()) == summary.spent.num_replies == num
    num_faults = server.num_requests - num
    assert 0.1 * num < num_faults < 0.3 * num  # each fault was met once
    with Ledger(workspace.ledger_path) as ledger:
        assert len(ledger.rounds()) == 1


def test_an_outage_in_the_body_of_200s_uses_up_no_round_and_plans_no_more_jobs(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(always="error_in_200")), new_workspace()
    hasty = make_config(NUM, max_rounds=1, pace={"max_in_flight": 8, "breaker_window_s": 0.5})
    for _ in range(3):
        with pytest.raises(EndpointError, match="upstream is busy"):
            build(workspace, hasty)
    server.faults.always = None
    before = server.num_requests
    assert build(workspace, hasty).num_kept == NUM
    assert server.num_requests == before + NUM
