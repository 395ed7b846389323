"""The guard in front of a small app, over a real socket."""

import socket
from collections.abc import Iterator

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from curation_app.web.bodies import MAX_BODY_BYTES
from curation_app.web.border import Border, make_border
from curation_app.web.guard import Guard
from tests.curation_app.web.serving import Client, serving

CALL = "/gradio_api/component_server/"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what it was asked, as the app behind the guard sees it."""
    if scope["type"] == "lifespan":
        return
    request = Request(scope, receive)
    body = await request.body()
    answer: Response = JSONResponse(
        {
            "path": request.url.path,
            "url": str(request.url),
            "client": request.client and request.client.host,
            "headers": dict(request.headers),
            "body": len(body),
        }
    )
    await answer(scope, receive, send)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving(Guard(echo, make_border("127.0.0.1"))) as found:
        yield found


def seen(client: Client, path: str = "/", **headers: str) -> dict:
    answer = client.ask(path, headers={name.replace("_", "-"): v for name, v in headers.items()})
    assert answer.status == 200, answer.text
    return orjson.loads(answer.body)


def test_every_answer_carries_the_headers_refusals_too(client: Client) -> None:
    for path, headers in (("/", {}), ("/", {"Host": "evil.example"}), ("/monitoring", {})):
        answer = client.ask(path, headers=headers)
        assert "script-src 'self' 'unsafe-eval';" in answer.headers["content-security-policy"]
        assert "'unsafe-inline'" not in answer.headers["content-security-policy"].split("style")[0]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil@localhost",
     "192.168.1.7", "0.0.0.0", "[::1", "", "localhost:80:80", "localhost/../x"],
)  # fmt: skip
def test_on_loopback_only_loopback_names_are_answered(client: Client, host: str) -> None:
    answer = client.ask("/", headers={"Host": host})
    assert answer.status == 403 and "--allow-host" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7860", "127.0.0.1", "[::1]:7860", "localhost."]
)
def test_loopback_names_are_answered(client: Client, host: str) -> None:
    assert client.ask("/", headers={"Host": host}).status == 200


def test_two_host_headers_are_refused(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert raw.recv(100).split()[1] in (b"400", b"403")


def test_bound_to_every_address_names_are_allowed_one_by_one() -> None:
    border = make_border("0.0.0.0", allowed_hosts=["Review.Example.org"])
    assert border.answers_to("review.example.org:8080")
    assert border.answers_to("192.168.1.7:7860") and border.answers_to("[fe80::1]:7860")
    assert border.answers_to(socket.gethostname()) and border.answers_to("localhost:7860")
    assert not border.answers_to("evil.example") and not border.answers_to("example.org")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "path",
    ["/thumbnails/a/query/x.webp", "/gradio_api/info", "/api/status", "/ui/review/review.js", "/"],
)
def test_another_page_cannot_embed_or_fetch_anything(client: Client, site: str, path: str) -> None:
    for dest, mode in (("image", "no-cors"), ("empty", "cors"), ("iframe", "navigate")):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest, "Sec-Fetch-Mode": mode}
        answer = client.ask(path, headers=headers)
        assert answer.status == 403 and "own pages" in answer.text


def test_a_link_of_another_page_opens_a_page_and_nothing_that_costs(client: Client) -> None:
    link = {
        "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate",
    }  # fmt: skip
    assert client.ask("/audit", headers=link).status == 200
    assert client.ask("/thumbnails/a/query/x.webp", headers=link).status == 403
    assert client.ask("/gradio_api/info", headers=link).status == 403
    assert client.ask("/sign-in", method="POST", headers=link).status == 403


def test_the_apps_own_requests_pass(client: Client) -> None:
    own = {"Sec-Fetch-Site": "same-origin", "Origin": f"http://{client.host}"}
    assert client.post_json(CALL, b"{}", **own).status == 200
    assert (
        client.ask("/thumbnails/a/query/x.webp", headers={"Sec-Fetch-Site": "none"}).status == 200
    )


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "garbage"])
def test_a_foreign_origin_may_not_write(client: Client, origin: str) -> None:
    answer = client.post_json(CALL, b"{}", Origin=origin)
    assert answer.status == 403 and "own pages" in answer.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_origin_may_not_read_either(client: Client, origin: str) -> None:
    assert client.ask("/gradio_api/info", headers={"Origin": origin}).status == 403
    assert client.ask("/", headers={"Origin": f"http://{client.host}"}).status == 200


def test_a_port_that_goes_without_saying_makes_no_foreign_origin() -> None:
    border = make_border("127.0.0.1", allowed_hosts=["a.example"])
    with serving(Guard(echo, border)) as client:
        for origin, host, status in (
            ("https://a.example", "a.example:443", 200),
            ("https://a.example:443", "a.example", 200),
            ("http://a.example", "a.example:80", 200),
            ("http://a.example:8080", "a.example", 403),
            ("http://a.example", "a.example:443", 403),
            ("ftp://a.example", "a.example", 403),
        ):
            assert client.post_json(CALL, b"{}", Origin=origin, Host=host).status == status, origin


def test_no_answer_lets_another_origin_read_it() -> None:
    async def lavish(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {
                "access-control-allow-origin": "*",
                "Access-Control-Allow-Credentials": "true",
            }
            await Response("x", headers=headers)(scope, receive, send)

    with serving(Guard(lavish, make_border("127.0.0.1"))) as client:
        answer = client.ask("/")
    assert answer.body == b"x" and not any("access-control" in name for name in answer.headers)


def test_behind_a_proxy_that_changes_the_host_the_status_says_what_to_set(client: Client) -> None:
    headers = {"Origin": "http://review.example.org", "Sec-Fetch-Site": "same-origin"}
    answer = client.ask("/api/status", method="POST", headers=headers)
    found = orjson.loads(answer.body)
    assert answer.status == found["status"] == 403 and found["ok"] is False
    assert "review.example.org" in found["reason"] and "--proxy" in found["reason"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    assert client.ask("/", method=method).status == 405


def test_a_body_is_bounded_whether_announced_or_chunked(client: Client) -> None:
    assert client.post_json(CALL, b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"').status == 200
    assert client.post_json(CALL, b"x" * (MAX_BODY_BYTES + 1)).status == 413
    with socket.create_connection(("127.0.0.1", client.port)) as raw:
        head = f"POST {CALL} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        raw.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n")
        chunk = b"10000\r\n" + b"1" * 0x10000 + b"\r\n"
        answer = b""
        for _ in range(MAX_BODY_BYTES // 0x10000 + 1):
            raw.sendall(chunk)
        answer = raw.recv(100)
        assert b" 413 " in answer.splitlines()[0]
    assert client.ask("/sign-in", method="POST", body=b"a" * 20_000).status == 413


def test_a_length_that_is_no_number_is_refused(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port)) as raw:
        raw.sendall(
            f"POST {CALL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n".encode()
        )
        assert raw.recv(100).split()[1][:1] == b"4"


@pytest.mark.parametrize(
    "body",
    [rb'{"a": "\ud800"}', rb'{"a": "\udc00x"}', b'{"a": "\xed\xa0\x80"}', b"{", b'{"a": NaN}',
     b"[" * 100_000, b'"\xff"'],
)  # fmt: skip
def test_what_is_no_json_is_answered_400(client: Client, body: bytes) -> None:
    answer = client.post_json(CALL, body)
    assert answer.status == 400 and "not valid JSON" in answer.text


def test_calls_take_json_alone_and_no_files(client: Client) -> None:
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert client.ask(CALL, method="POST", body=b"--x--", headers=form).status == 415
    assert (
        client.ask("/gradio_api/upload", method="POST", body=b"--x--", headers=form).status == 413
    )


def test_long_addresses_and_headers_are_refused(client: Client) -> None:
    assert client.ask(f"/thumbnails/{'a' * 60_000}/query/x.webp").status in (400, 414)
    assert client.ask(f"/thumbnails/{'a' * 10_000}/query/x.webp").status == 414
    assert client.ask("/", headers={"X-Long": "a" * 40_000}).status == 431
    assert client.ask("/", headers={"X-Long": "a" * 60_000}).status in (400, 431)


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring",
        "/monitoring/x",
        "/login",
        "/openapi.json",
        "/gradio_api/deep_link?session_hash=x",
        "/gradio_api/proxy=https://x.hf.space/",
        "/gradio_api/file=https://evil.example/",
        "/gradio_api/file=HTTP:%2F%2Fevil.example/",
        "/gradio_api/openapi.json",
        "/gradio_api/call/x",
        "/gradio_api/vibe-code",
        "/gradio_api/dev/reload",
        "/gradio_api/process_recording",
    ],
)
def test_endpoints_of_gradio_without_a_use_here_are_closed(client: Client, path: str) -> None:
    assert client.ask(path).status == 404


def test_forwarding_headers_count_from_a_named_proxy_alone() -> None:
    forwarded = {
        "X-Forwarded-Host": "review.example.org", "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Gradio-Server": "http://evil.example",
    }  # fmt: skip
    with serving(Guard(echo, make_border("127.0.0.1"))) as client:
        found = orjson.loads(client.ask("/", headers=forwarded).body)
    assert found["url"] == f"http://{client.host}/" and found["client"] == "127.0.0.1"
    assert not any("forwarded" in name or "gradio" in name for name in found["headers"])
    border = make_border("127.0.0.1", allowed_hosts=["review.example.org"], proxies=["127.0.0.1"])
    with serving(Guard(echo, border)) as client:
        found = orjson.loads(client.ask("/", headers=forwarded).body)
        assert client.ask("/", headers={"X-Forwarded-Host": "evil.example"}).status == 403
        own = {"Origin": "https://review.example.org", **forwarded}
        assert client.post_json(CALL, b"{}", **own).status == 200
    assert found["url"] == "https://review.example.org/" and found["client"] == "198.51.100.7"
    assert not any("forwarded" in name or "gradio" in name for name in found["headers"])


def test_the_root_path_is_taken_off_whether_the_proxy_did_or_not() -> None:
    border = make_border("127.0.0.1", root_path="/review/")
    with serving(Guard(echo, border)) as client:
        assert [seen(client, path)["path"] for path in ("/review/audit", "/audit", "/review")] == [
            "/audit", "/audit", "/",
        ]  # fmt: skip
        assert seen(client, "/reviews")["path"] == "/reviews"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"allowed_hosts": ["http://x"]}, "--allow-host"),
        ({"proxies": ["review.example.org"]}, "--proxy"),
        ({"root_path": "review"}, "--root-path"),
        ({"root_path": "/a/../b"}, "--root-path"),
        ({"root_path": '/"><script>'}, "--root-path"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict, named: str) -> None:
    from schemas.errors import PolysceneError

    with pytest.raises(PolysceneError, match=named):
        make_border("127.0.0.1", **options)


def test_a_proxy_over_ipv6_is_known_by_its_ipv4_address() -> None:
    border = make_border("::", proxies=["10.0.0.0/24"])
    assert border.believes("::ffff:10.0.0.9") and not border.believes("::ffff:10.0.1.9")
    assert not Border().believes("127.0.0.1") and not border.believes("unix")
