"""Commits: atomic, guarded by their parent, refused when they make no sense."""

import hashlib
import json
import shutil
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from huggingface_hub.utils import httpx

from builder.local_hub import Limits
from builder.local_hub.api.commits import parse_commit
from builder.local_hub.errors import HubError
from builder.local_hub.storage.blobs import BlobStore
from tests.hub_server import WRITE_TOKEN, RunningHub
from tests.local_hub.conftest import PART_BYTES, Caller, put, put_lfs


def delete(path: str, *, folder: bool = False) -> dict[str, object]:
    return {"key": "deletedFolder" if folder else "deletedFile", "value": {"path": path}}


def test_commit_adds_replaces_and_deletes_in_one_step(owner: Caller) -> None:
    repo = owner.create("steps")
    owner.commit(repo, put("a.txt", b"1"), put("d/b.txt", b"2"), put("d/e/c.txt", b"3"))
    assert owner.paths(repo) == ["a.txt", "d/b.txt", "d/e/c.txt"]
    answer = owner.commit(
        repo, put("a.txt", b"new"), delete("d/e/", folder=True), put("f.txt", b"4"), title="second"
    )
    assert answer.status_code == 200
    assert owner.paths(repo) == ["a.txt", "d/b.txt", "f.txt"]
    assert owner.get(f"/datasets/{repo}/resolve/main/a.txt").content == b"new"
    history = owner.get(f"/api/datasets/{repo}/commits/main").json()
    assert [commit["title"] for commit in history] == ["second", "a change", "initial commit"]
    assert history[0]["id"] == answer.json()["commitOid"] == owner.head(repo)
    assert owner.paths(repo, history[1]["id"]) == ["a.txt", "d/b.txt", "d/e/c.txt"]


def test_stale_parent_is_refused_and_changes_nothing(owner: Caller) -> None:
    repo = owner.create("stale")
    old = owner.head(repo)
    assert owner.commit(repo, put("a.txt", b"1"), parent=old).status_code == 200
    new = owner.head(repo)
    answer = owner.commit(repo, put("a.txt", b"2"), parent=old)
    assert answer.status_code == 412
    assert "A commit has happened since" in answer.headers["X-Error-Message"]
    assert owner.head(repo) == new


def test_of_eight_writers_with_one_parent_exactly_one_wins(hub: RunningHub, owner: Caller) -> None:
    repo = owner.create("race")
    parent = owner.head(repo)
    barrier, statuses = threading.Barrier(8), list[int]()

    def write(number: int) -> None:
        with Caller(hub.url, WRITE_TOKEN) as writer:
            barrier.wait()
            content = put("winner.txt", str(number).encode())
            statuses.append(writer.commit(repo, content, parent=parent).status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [412] * 7
    assert len(owner.get(f"/api/datasets/{repo}/commits/main").json()) == 2


def test_a_failing_operation_undoes_the_whole_commit(owner: Caller) -> None:
    repo = owner.create("whole")
    owner.commit(repo, put("keep.txt", b"1"))
    head = owner.head(repo)
    answer = owner.commit(repo, put("new.txt", b"2"), delete("no-such.txt"))
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert "A file with this name doesn't exist" in answer.headers["X-Error-Message"]
    assert (owner.head(repo), owner.paths(repo)) == (head, ["keep.txt"])


def test_commit_that_changes_nothing_is_none(owner: Caller) -> None:
    repo = owner.create("same")
    first = owner.commit(repo, put("a.txt", b"1")).json()["commitOid"]
    assert owner.commit(repo, put("a.txt", b"1")).json()["commitOid"] == first
    assert len(owner.get(f"/api/datasets/{repo}/commits/main").json()) == 2


@pytest.mark.parametrize(
    "path",
    [
        "../up.txt",
        "a/../../up.txt",
        "/etc/passwd",
        "a//b",
        "./a",
        "a/.",
        "a\\..\\b",
        "nul\0byte",
        "line\nbreak",
        ".git/config",
        "x/.GIT/hooks",
        "",
        "\ud800",
        "é" * 200,
        None,
    ],
)
def test_paths_that_leave_the_repository_are_refused(owner: Caller, path: str | None) -> None:
    repo = "demo/paths"
    if owner.get(f"/api/datasets/{repo}").status_code != 200:
        owner.create("paths")
    value = {"path": path, "content": "eA==", "encoding": "base64"}
    for key in ("file", "deletedFile", "deletedFolder"):
        answer = owner.commit(repo, {"key": key, "value": value})
        assert answer.status_code == 400, (key, answer.text)
    files = json.dumps({"files": [{"path": path, "size": 1, "sample": ""}]})
    assert owner.post(f"/api/datasets/{repo}/preupload/main", content=files).status_code == 400
    assert owner.paths(repo) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{nonsense", "one JSON object per line"),
        (b'{"key": "header"}', '"key" and "value"'),
        (b'{"key": "file", "value": {"path": "a"}}', "header"),
        (b'{"key": "header", "value": {"summary": ""}}', "summary"),
        (b'{"key": "header", "value": {"summary": "s", "parentCommit": "x"}}', "parentCommit"),
        (
            b'{"key": "header", "value": {"summary": "s"}}\n{"key": "bomb", "value": {}}',
            "line 2: unknown operation",
        ),
        (
            b'{"key": "header", "value": {"summary": "s"}}\n'
            b'{"key": "file", "value": {"path": "a", "content": "!", "encoding": "base64"}}',
            "line 2",
        ),
    ],
)
def test_malformed_commits_are_refused_with_the_line(
    owner: Caller, body: bytes, words: str
) -> None:
    repo = "demo/malformed"
    if owner.get(f"/api/datasets/{repo}").status_code != 200:
        owner.create("malformed")
    answer = owner.post(f"/api/datasets/{repo}/commit/main", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_file_too_large_to_come_inside_a_commit_is_sent_to_lfs(owner: Caller) -> None:
    repo = owner.create("inline")
    most = Limits().inline_bytes
    assert owner.commit(repo, put("most.txt", b"x" * most)).status_code == 200
    for size in (most + 1, 3 * most):
        answer = owner.commit(repo, put("a.txt", b"1"), put("b.txt", b"x" * size))
        assert answer.status_code == 413
        assert "line 3: " in answer.json()["error"] and "use LFS" in answer.json()["error"]
    assert owner.paths(repo) == ["most.txt"]


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    store = BlobStore(tmp_path)
    store.open()
    return store


HEADER = b'{"key": "header", "value": {"summary": "s"}}\n'


@pytest.mark.parametrize("filler", [b"x", b" "])
def test_a_long_line_is_not_read_into_memory(
    tmp_path: Path, blobs: BlobStore, filler: bytes
) -> None:
    request = tmp_path / "commit"
    request.write_bytes(HEADER + filler * 10_000_000)
    tracemalloc.start()
    with suppress(HubError):
        parse_commit(request, blobs, Limits(inline_bytes=10_000))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 500_000


def test_a_commit_of_too_many_operations_is_refused(tmp_path: Path, blobs: BlobStore) -> None:
    request = tmp_path / "commit"
    lines = [json.dumps(delete(f"{number}.txt")).encode() + b"\n" for number in range(4)]
    request.write_bytes(HEADER + b"".join(lines[:3]))
    assert len(parse_commit(request, blobs, Limits(max_operations=3)).operations) == 3
    request.write_bytes(HEADER + b"".join(lines))
    with pytest.raises(HubError, match="line 5: more than 3 operations") as refused:
        parse_commit(request, blobs, Limits(max_operations=3))
    assert refused.value.status == 413


def test_half_a_character_is_refused_wherever_it_stands(owner: Caller) -> None:
    repo = owner.create("halves")
    assert owner.commit(repo, put("a", b"1"), title="\ud800").status_code == 400
    for body in ({"tag": "v1", "message": "\ud800"}, {"tag": "\ud800"}):
        answer = owner.post(f"/api/datasets/{repo}/tag/main", content=json.dumps(body))
        assert answer.status_code == 400
    assert len(owner.get(f"/api/datasets/{repo}/commits/main").json()) == 1


def test_file_and_folder_cannot_share_a_name(owner: Caller) -> None:
    repo = owner.create("clash")
    owner.commit(repo, put("a/b.txt", b"1"), put("c.txt", b"2"))
    assert owner.commit(repo, put("a", b"3")).status_code == 400
    assert owner.commit(repo, put("c.txt/d.txt", b"3")).status_code == 400
    assert owner.commit(repo, delete("a")).status_code == 404
    assert owner.commit(repo, delete("c.txt", folder=True)).status_code == 404
    assert owner.paths(repo) == ["a/b.txt", "c.txt"]


def test_commits_go_to_branches_only(owner: Caller) -> None:
    repo = owner.create("aims")
    owner.post(f"/api/datasets/{repo}/tag/main", json={"tag": "v1"})
    assert owner.commit(repo, put("a", b"1"), branch="v1").status_code == 400
    missing = owner.commit(repo, put("a", b"1"), branch="nowhere")
    assert (missing.status_code, missing.headers["X-Error-Code"]) == (404, "RevisionNotFound")


def test_wrong_upload_is_refused_and_not_kept(owner: Caller) -> None:
    repo = owner.create("wrong")
    sha256 = hashlib.sha256(b"right").hexdigest()
    for content, status in ((b"wrong", 400), (b"righ", 400), (b"right and more", 413)):
        action = owner.lfs_action(repo, sha256, 5)
        assert action is not None
        answer = owner.request("PUT", action["href"], content=content)
        assert answer.status_code == status, answer.text
    assert owner.commit(repo, put_lfs("a.bin", sha256, 5)).status_code == 400
    owner.upload_lfs(repo, b"right")
    assert owner.commit(repo, put_lfs("a.bin", sha256, 5)).status_code == 200
    assert owner.lfs_action(repo, sha256, 5) is None


def test_multipart_upload_is_joined_and_verified(owner: Caller) -> None:
    repo = owner.create("parts")
    content = bytes(range(256)) * (PART_BYTES // 100)  # two parts and a half
    sha256 = hashlib.sha256(content).hexdigest()
    action = owner.lfs_action(repo, sha256, len(content), ("basic", "multipart"))
    assert action is not None
    assert int(action["header"]["chunk_size"]) == PART_BYTES
    numbers = sorted(key for key in action["header"] if key.isdigit())
    assert numbers == ["1", "2", "3"]

    def send(number: str, part: bytes) -> str:
        answer = owner.request("PUT", action["header"][number], content=part)
        assert answer.status_code == 200
        return answer.headers["ETag"]

    parts = [content[i : i + PART_BYTES] for i in range(0, len(content), PART_BYTES)]
    etags = [send(*pair) for pair in zip(numbers, parts, strict=True)][:2]
    send("3", b"something else")
    finish = {"oid": sha256, "parts": [{"partNumber": 1, "etag": etags[0]}]}
    assert owner.post(action["href"], json=finish).status_code == 400
    send("3", parts[2])
    assert owner.post(action["href"], json=finish).status_code == 200
    assert owner.post(action["href"], json=finish).status_code == 200  # a repeated request
    assert owner.commit(repo, put_lfs("big.bin", sha256, len(content))).status_code == 200
    assert owner.get(f"/datasets/{repo}/resolve/main/big.bin").content == content


def test_multipart_upload_with_a_missing_part_names_it(owner: Caller) -> None:
    repo = owner.create("missing-part")
    action = owner.lfs_action(repo, "b" * 64, PART_BYTES + 1, ("multipart",))
    assert action is not None
    owner.request("PUT", action["header"]["1"], content=b"x" * PART_BYTES)
    answer = owner.post(action["href"], json={})
    assert answer.status_code == 400
    assert "Parts missing: 2" in answer.json()["error"]


def announce(owner: Caller, repo: str, *sizes: int, transfers: object) -> httpx.Response:
    objects = [{"oid": f"{number:064x}", "size": size} for number, size in enumerate(sizes)]
    body = {"operation": "upload", "transfers": transfers, "objects": objects}
    return owner.post(f"/datasets/{repo}.git/info/lfs/objects/batch", json=body)


@pytest.mark.parametrize("size", [PART_BYTES * 10_000 + 1, PART_BYTES * 100_000, 10**400])
def test_a_file_of_too_many_parts_is_refused_before_addresses_are_made(
    owner: Caller, size: int
) -> None:
    repo = f"demo/huge-{len(str(size))}"
    owner.create(repo.removeprefix("demo/"))
    tracemalloc.start()
    answer = announce(owner, repo, size, transfers=["basic", "multipart"])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert f"at most {PART_BYTES * 10_000:,} bytes" in answer.json()["error"]
    assert peak_bytes < 5_000_000


def test_what_the_disk_has_no_room_for_is_refused_together(hub: RunningHub, owner: Caller) -> None:
    """The limit of parts does not hold for all files of a request, the disk does."""
    repo = owner.create("crowded")
    size = PART_BYTES * 10_000
    number = shutil.disk_usage(hub.root).free // size + 1
    assert announce(owner, repo, 1000, transfers=["basic"]).status_code == 200
    answer = announce(owner, repo, *[size] * number, transfers=["basic", "multipart"])
    assert answer.status_code == 507
    assert "free some space" in answer.json()["error"]


@pytest.mark.parametrize("transfers", [5, "multipart", {"multipart": 1}])
def test_transfers_that_are_no_list_are_refused(owner: Caller, transfers: object) -> None:
    repo = f"demo/transfers-{len(str(transfers))}"
    owner.create(repo.removeprefix("demo/"))
    assert announce(owner, repo, 1, transfers=transfers).status_code == 400


def test_pointer_text_is_not_taken_for_the_file_it_points_to(owner: Caller) -> None:
    from builder.local_hub.storage.blobs import lfs_pointer

    repo = owner.create("pointer")
    sha256 = owner.upload_lfs(repo, b"real content")
    owner.commit(repo, put_lfs("a.bin", sha256, 12))
    owner.commit(repo, put("a.bin", lfs_pointer(sha256, 12)))
    assert owner.get(f"/datasets/{repo}/resolve/main/a.bin").content == lfs_pointer(sha256, 12)
