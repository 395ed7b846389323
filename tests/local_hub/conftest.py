"""A served Hub for a module's tests, and plain HTTP requests to it."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import httpx

from builder.local_hub import Limits
from tests.hub_server import OTHER_TOKEN, READ_TOKEN, WRITE_TOKEN, RunningHub, running_hub

PART_BYTES = 1 << 20


class Caller:
    """Plain requests under one token, for what the official clients would never send."""

    def __init__(self, url: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=url, headers=headers, timeout=30)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request."""
        return self.client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET request."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """A POST request."""
        return self.request("POST", path, **options)

    def create(self, name: str, *, private: bool = False) -> str:
        """A new dataset under the user `demo`; returns its id."""
        body = {
            "name": name,
            "organization": "demo",
            "type": "dataset",
            "visibility": "private" if private else "public",
        }
        assert self.post("/api/repos/create", json=body).status_code == 200
        return f"demo/{name}"

    def head(self, repo: str, revision: str = "main") -> str:
        """The commit hash of a revision."""
        return self.get(f"/api/datasets/{repo}/revision/{revision}").json()["sha"]

    def commit(
        self,
        repo: str,
        *operations: dict[str, Any],
        parent: str | None = None,
        branch: str = "main",
        title: str = "a change",
    ) -> httpx.Response:
        """A commit request with these operations."""
        header = {"key": "header", "value": {"summary": title, "description": ""}}
        if parent is not None:
            header["value"]["parentCommit"] = parent
        lines = "\n".join(json.dumps(line) for line in (header, *operations))
        return self.post(
            f"/api/datasets/{repo}/commit/{branch}",
            content=lines,
            headers={"Content-Type": "application/x-ndjson"},
        )

    def paths(self, repo: str, revision: str = "main") -> list[str]:
        """All files of a revision but `.gitattributes`."""
        tree = self.get(f"/api/datasets/{repo}/tree/{revision}?recursive=1").json()
        return [e["path"] for e in tree if e["type"] == "file" and e["path"] != ".gitattributes"]

    def upload_lfs(self, repo: str, content: bytes) -> str:
        """Store a content by LFS in one piece and return its SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        action = self.lfs_action(repo, sha256, len(content))
        if action is not None:
            assert self.request("PUT", action["href"], content=content).status_code == 200
        return sha256

    def lfs_action(
        self, repo: str, sha256: str, size: int, transfers: tuple[str, ...] = ("basic",)
    ) -> dict[str, Any] | None:
        """Where the LFS batch request sends a content, `None` if it is stored."""
        body = {
            "operation": "upload",
            "transfers": transfers,
            "objects": [{"oid": sha256, "size": size}],
        }
        answer = self.post(f"/datasets/{repo}.git/info/lfs/objects/batch", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["objects"][0].get("actions", {}).get("upload")


def put(path: str, content: bytes) -> dict[str, Any]:
    """The commit line that writes a small file."""
    text = base64.b64encode(content).decode()
    return {"key": "file", "value": {"path": path, "content": text, "encoding": "base64"}}


def put_lfs(path: str, sha256: str, size: int) -> dict[str, Any]:
    """The commit line that writes an LFS file."""
    return {
        "key": "lfsFile",
        "value": {"path": path, "algo": "sha256", "oid": sha256, "size": size},
    }


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """One Hub for a module, with small parts so that multipart uploads stay quick."""
    root: Path = tmp_path_factory.mktemp("hub") / "root"
    with running_hub(root, limits=Limits(part_bytes=PART_BYTES, page_entries=50)) as running:
        yield running


@pytest.fixture
def owner(hub: RunningHub) -> Iterator[Caller]:
    """Requests of the user `demo` with a write token."""
    with Caller(hub.url, WRITE_TOKEN) as caller:
        yield caller


@pytest.fixture
def reader(hub: RunningHub) -> Iterator[Caller]:
    """Requests of the user `demo` with a read token."""
    with Caller(hub.url, READ_TOKEN) as caller:
        yield caller


@pytest.fixture
def stranger(hub: RunningHub) -> Iterator[Caller]:
    """Requests of another user with a write token."""
    with Caller(hub.url, OTHER_TOKEN) as caller:
        yield caller


@pytest.fixture
def anonymous(hub: RunningHub) -> Iterator[Caller]:
    """Requests without a token."""
    with Caller(hub.url, None) as caller:
        yield caller
