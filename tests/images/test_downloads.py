"""Tables of URLs are downloaded politely, within limits, and from public addresses only."""

import ipaddress
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builder.images.adding import AddSummary, add_images
from builder.images.sources import UrlOptions, open_source
from builder.images.sources.download.addresses import (
    Address,
    PrivateAddressError,
    UrlError,
    checked_url,
    is_public,
)
from builder.images.sources.download.retrying import retry_wait_s
from builder.images.sources.download.robots import Rules, is_forbidden_by_tag
from builder.images.sources.tables import TableError
from builder.images.store import ImageStore
from tests.images.picture_server import PictureServer, serving
from tests.images.test_images_command import run

MAX_BYTES = 300_000
PUBLIC = "127.0.0.1"
PRIVATE = "127.0.0.2"


def plays_public(address: Address) -> bool:
    """Stands for `is_public`: one loopback address plays the internet, the others stay private."""
    return address == ip_address(PUBLIC)


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with serving(PUBLIC) as started:
        yield started


def table(path: Path, urls: list[str | None], **columns: list[Any]) -> Path:
    pq.write_table(pa.table({"URL": urls, **columns}), path)
    return path


def add(store: ImageStore, path: Path, **options: Any) -> AddSummary:
    settings = {"is_allowed": plays_public, "timeout_s": 0.5, "fetched": store.fetched} | options
    opened = open_source(str(path), MAX_BYTES, urls=UrlOptions(**settings))
    assert opened.kind == "urls"
    return add_images(store, opened.files)


def refusals(store: ImageStore) -> dict[str, str]:
    return {name.partition("#")[2]: reason for name, reason, _ in store.refused()}


def test_images_come_with_what_the_table_says_of_them(tmp_path, store, server) -> None:
    urls = [f"{server.url}/ok/{n}" for n in range(5)]
    path = table(
        tmp_path / "laion.parquet",
        [*urls, None],
        TEXT=[f"thing {n}" for n in range(6)],
        LICENSE=["CC BY 2.0"] * 6,
    )
    summary = add(store, path)
    assert (summary.num_added, dict(summary.refused)) == (5, {"invalid_url": 1})
    found = {(r.source, r.caption, r.licence_id) for r in store.records()}
    assert found == {(url, f"thing {n}", "CC-BY-2.0") for n, url in enumerate(urls)}


def test_each_failure_has_its_reason_and_the_rest_is_read(tmp_path, store, server) -> None:
    with socket.socket() as unused:
        unused.bind((PUBLIC, 0))
        closed_port = unused.getsockname()[1]
    with serving(PUBLIC) as hanging, serving(PUBLIC) as dripping, serving(PUBLIC) as cutting:
        urls = {
            f"{server.url}/ok/1": None,
            f"{server.url}/hop/2": None,
            f"{server.url}/later/429": None,
            f"{server.url}/later/503": None,
            f"{server.url}/status/404": "http_error",
            f"{server.url}/status/500": "http_error",
            f"{server.url}/much-later/1": "http_error",
            f"{server.url}/hop/9": "http_error",
            f"{server.url}/page/1": "unreadable",
            f"{server.url}/noai/1": "robots",
            f"{server.url}/huge/1": "too_many_bytes",
            f"{hanging.url}/hang/1": "no_answer",
            f"{dripping.url}/drip/1": "no_answer",
            f"{cutting.url}/cut/1": "no_answer",
            f"http://{PUBLIC}:{closed_port}/ok/1": "no_answer",
            "http://no-such-host.invalid/ok/1": "no_answer",
            f"http://{PRIVATE}/ok/1": "private_host",
            "http://[::1]/ok/1": "private_host",
            "http://2130706434/ok/1": "invalid_url",
            "http://127.2/ok/1": "invalid_url",
            "http://0x7f.2/ok/1": "private_host",
            "ftp://e.org/1.jpg": "invalid_url",
            "file:///etc/passwd": "invalid_url",
            "http://jane:secret@e.org/1.jpg": "invalid_url",
            "http://": "invalid_url",
            "http://e.org:99999/": "invalid_url",
            "no url": "invalid_url",
        }
        begun = time.monotonic()
        summary = add(store, table(tmp_path / "t.parquet", list(urls)))
        assert time.monotonic() - begun < 20
    assert summary.num_seen == len(urls)
    assert refusals(store) == {
        str(n): reason for n, reason in enumerate(urls.values()) if reason is not None
    }
    assert summary.num_added == 4


@pytest.mark.parametrize("target", [f"http://{PRIVATE}:{{port}}/ok/1", "file:///etc/passwd"])
def test_a_redirect_to_where_nobody_may_go_is_not_followed(tmp_path, store, server, target) -> None:
    with serving(PRIVATE) as inner:
        server.redirect_to = target.format(port=inner.server_address[1])
        add(store, table(tmp_path / "t.parquet", [f"{server.url}/redirect/1"]))
        assert not inner.requests
    expected = "private_host" if target.startswith("http") else "invalid_url"
    assert refusals(store) == {"0": expected}


def test_a_name_that_changes_its_address_gains_nothing(
    tmp_path, store, server, monkeypatch
) -> None:
    """The resolver is asked once a connection, and what it said is what is connected to."""
    answers = iter([PUBLIC] * 2 + [PRIVATE] * 50)  # robots.txt and the first image
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "changing.example":
            return real(host, port, *args, **kwargs)
        asked.append(next(answers))
        return real(asked[-1], port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    port = server.server_address[1]
    with serving(PRIVATE) as inner:
        urls = [f"http://changing.example:{port}/status/404", *[""] * 0]
        urls += [f"http://changing.example:{inner.server_address[1]}/ok/{n}" for n in range(3)]
        add(store, table(tmp_path / "t.parquet", urls), max_open=1)
        assert not inner.requests
    assert PRIVATE in asked
    assert set(refusals(store).values()) <= {"private_host", "http_error", "no_answer"}


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1"),
        *("::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "2002:7f00:1::", "::127.0.0.1"),
    ],
)
def test_private_addresses_in_every_dress_are_known(address: str) -> None:
    assert not is_public(ip_address(address))
    text = f"[{address}]" if ":" in address else address
    with pytest.raises((PrivateAddressError, UrlError)):
        checked_url(f"http://{text}/1.jpg", is_public)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_host_that_never_answers_is_given_up(tmp_path, store, server) -> None:
    with serving(PUBLIC) as hanging:
        dead = [f"{hanging.url}/hang/{n}" for n in range(100)]
        alive = [f"{server.url}/ok/{n}" for n in range(5)]
        begun = time.monotonic()
        summary = add(store, table(tmp_path / "t.parquet", [*dead, *alive]))
        assert time.monotonic() - begun < 10
        assert hanging.requests.total() <= 12
    assert (summary.num_added, dict(summary.refused)) == (5, {"no_answer": 100})


def test_a_tenth_of_dead_urls_costs_only_themselves(tmp_path, store, server) -> None:
    urls = [f"{server.url}/{'status/404' if n % 10 == 3 else f'ok/{n}'}" for n in range(100)]
    summary = add(store, table(tmp_path / "t.parquet", urls))
    assert (summary.num_added, dict(summary.refused)) == (90, {"http_error": 10})


def test_a_host_gets_few_requests_at_once(tmp_path, store, server) -> None:
    urls = [f"{server.url}/slow/{n}" for n in range(30)]
    assert add(store, table(tmp_path / "t.parquet", urls)).num_added == 30
    assert 2 <= server.most_open <= 4


def test_a_pause_that_a_host_asks_for_is_kept(tmp_path, store, server) -> None:
    urls = [f"{server.url}/later/429", f"{server.url}/ok/1"]
    assert add(store, table(tmp_path / "t.parquet", urls)).num_added == 2
    assert server.requests["/later/429"] == 2
    assert server.times[-1] - server.times[0] >= 0.9


@pytest.mark.parametrize(
    ("robots", "expected"),
    [
        (None, {}),
        (403, {}),
        ("User-agent: *\nDisallow: /ok/", {"0": "robots"}),
        ("User-agent: polyscene\nDisallow: /", {"0": "robots", "1": "robots"}),
        ("User-agent: *\nDisallow: /\n\nUser-agent: polyscene\nAllow: /", {}),
        (503, {"0": "http_error", "1": "http_error"}),
        ("\0garbage\xff" * 100, {}),
    ],
)
def test_robots_txt_is_followed(tmp_path, store, robots, expected) -> None:
    with serving(PUBLIC, robots) as server:
        urls = [f"{server.url}/ok/1", f"{server.url}/slow/2"]
        add(store, table(tmp_path / "t.parquet", urls))
        assert refusals(store) == expected
        if not isinstance(robots, int):
            assert server.requests["/robots.txt"] == 1


def test_robots_rules_are_read_as_written() -> None:
    assert Rules("User-agent: *\nCrawl-delay: 3").crawl_delay_s == 3
    assert Rules().crawl_delay_s is None
    assert is_forbidden_by_tag(["noai"]) and is_forbidden_by_tag(["polyscene: noindex"])
    assert is_forbidden_by_tag(["all", "NoImageAI"])
    assert not is_forbidden_by_tag(["googlebot: noindex", "all", ""])


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_wait_s(0, None, "7") == 7
    assert retry_wait_s(0, None, "86400") is None
    assert retry_wait_s(0, None, "Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_wait_s(0, None, "soon") == retry_wait_s(0, None)
    assert retry_wait_s(0, None, "9" * 5_000) is None


def test_a_second_run_fetches_only_what_may_have_changed(tmp_path, store, server) -> None:
    paths = ["ok/1", "ok/2", "status/404", "page/1", "status/500"]
    path = table(tmp_path / "t.parquet", [f"{server.url}/{path}" for path in paths])
    first = add(store, path)
    assert first.num_added == 2
    before = server.requests.copy()
    second = add(store, path)
    assert (second.num_added, second.num_present) == (0, 2)
    assert second.refused == first.refused
    assert set(server.requests - before) <= {"/robots.txt", "/status/500"}


def test_an_interrupted_run_goes_on(tmp_path, store, server) -> None:
    urls = [f"{server.url}/ok/{n}" for n in range(20)]
    path = table(tmp_path / "t.parquet", urls)
    options = UrlOptions(is_allowed=plays_public, fetched=store.fetched)
    files = open_source(str(path), MAX_BYTES, urls=options).files
    add_images(store, (next(files) for _ in range(8)))
    files.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert len(store) == 8
    summary = add(store, path)
    assert (summary.num_added, summary.num_present) == (12, 8)


def test_the_command_refuses_private_hosts_unless_told(tmp_path, server) -> None:
    path = table(tmp_path / "t.parquet", [f"{server.url}/ok/{n}" for n in range(3)])
    ran = run("add", path, "-w", tmp_path / "w")
    assert ran.returncode == 1
    assert "every image was refused (private_host 3)" in ran.stderr
    assert not server.requests
    ran = run("add", path, "-w", tmp_path / "w", "--allow-private-hosts")
    assert ran.returncode == 0, ran.stderr
    assert "3 seen, 3 added" in ran.stderr


def test_a_table_of_urls_that_breaks_off_keeps_what_came_before(tmp_path, store, server) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    table(folder / "a.parquet", [f"{server.url}/ok/1"])
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes()[:-10])
    summary = add(store, folder)
    assert summary.num_added == 1
    assert isinstance(summary.broken, TableError)
    assert "b.parquet" in str(summary.broken)
