"""Addresses that are printed can be clicked: 0.0.0.0 and :: are no place to go."""

import urllib.request
from pathlib import Path

import pytest

from builder.lexicon_teacher import running_teacher
from builder.local_hub import serve
from command_line.address import clickable_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("", "http://127.0.0.1:80/"),
        ("::", "http://[::1]:80/"),
        ("0:0:0:0:0:0:0:0", "http://[::1]:80/"),
        ("::1", "http://[::1]:80/"),
        ("192.168.1.4", "http://192.168.1.4:80/"),
        ("review.example.org", "http://review.example.org:80/"),
    ],
)
def test_a_server_is_shown_under_an_address_one_can_open(host: str, url: str) -> None:
    assert clickable_url(host, 80, "/") == url


def test_the_teachers_address_answers_wherever_it_listens() -> None:
    with running_teacher(host="0.0.0.0") as url:
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}/models", timeout=10) as response:
            assert response.status == 200


class _Ready(Exception):
    pass


def test_the_hubs_address_can_be_set_as_an_endpoint(tmp_path: Path) -> None:
    told: list[str] = []

    def ready(url: str) -> None:
        told.append(url)
        raise _Ready

    with pytest.raises(_Ready):
        serve(tmp_path, "0.0.0.0", 0, tokens={"t" * 20: ["me", "write"]}, ready=ready)
    assert told[0].startswith("http://127.0.0.1:")
