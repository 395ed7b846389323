"""Whatever is sent as JSON, the Hub refuses it in words and never fails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hub_server import WRITE_TOKEN, running_hub
from tests.local_hub.conftest import Caller

API = "/api/datasets/demo/fixed"
#: Every request whose body is JSON, and the fields it knows.
REQUESTS = {
    ("POST", "/api/repos/create"): ["name", "organization", "type", "visibility", "private"],
    ("DELETE", "/api/repos/delete"): ["name", "organization", "type"],
    ("POST", "/api/repos/move"): ["fromRepo", "toRepo", "type"],
    ("POST", "/api/validate-yaml"): ["content", "repoType"],
    ("PUT", f"{API}/settings"): ["visibility", "private", "gated"],
    ("POST", f"{API}/tag/main"): ["tag", "message"],
    ("POST", f"{API}/branch/dev"): ["startingPoint"],
    ("POST", f"{API}/super-squash/main"): ["message"],
    ("POST", f"{API}/paths-info/main"): ["paths", "expand"],
    ("POST", f"{API}/preupload/main"): ["files", "path", "size", "sample"],
    ("POST", "/datasets/demo/fixed.git/info/lfs/objects/batch"): [
        *("operation", "transfers", "objects", "oid", "size")
    ],
}
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["demo", "demo/fixed", "dataset", "main", "multipart", "a" * 64]),
)


def bodies(fields: list[str]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(fields)
    values = st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )
    return st.dictionaries(keys, values, max_size=len(fields)) | values


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    root: Path = tmp_path_factory.mktemp("malformed") / "hub"
    with running_hub(root) as hub, Caller(hub.url, WRITE_TOKEN) as owner:
        owner.create("fixed")
        yield owner


@pytest.mark.parametrize("request_line", REQUESTS, ids=lambda line: line[1].split("/")[-1])
def test_no_json_makes_the_hub_fail(caller: Caller, request_line: tuple[str, str]) -> None:
    method, path = request_line

    @settings(max_examples=30, deadline=None)
    @given(body=bodies(REQUESTS[request_line]))
    def check(body: object) -> None:
        headers = {"Content-Type": "application/json"}
        answer = caller.request(method, path, content=json.dumps(body), headers=headers)
        assert answer.status_code not in (500, 502), (body, answer.text)
        if path.endswith(("delete", "move")) and caller.get(API).status_code == 404:
            caller.create("fixed")

    check()


@pytest.mark.parametrize(
    "content", ["[" * 200_000, '{"a":' * 100_000, '{"transfers": 5}', "\ud800"]
)
def test_nesting_without_end_and_nonsense_are_bad_requests(caller: Caller, content: str) -> None:
    raw = content.encode("utf-8", "surrogatepass")
    paths = ["/api/validate-yaml", "/datasets/demo/fixed.git/info/lfs/objects/batch"]
    for path in (*paths, f"{API}/commit/main"):
        answer = caller.post(path, content=raw)
        assert answer.status_code == 400, (path, answer.text[:200])
        assert answer.headers["X-Error-Message"]
