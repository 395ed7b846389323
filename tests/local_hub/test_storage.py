"""What lies on disk: trees against git and a plain dict, crashes, full disks, leftovers."""

import hashlib
import os
import random
import subprocess
import threading
from errno import ENOSPC
from pathlib import Path

import pytest
from huggingface_hub.utils import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.local_hub.errors import HubError
from builder.local_hub.storage.blobs import git_blob_oid
from builder.local_hub.storage.database import Database
from builder.local_hub.storage.trees import EMPTY_TREE, Entry, TreeEdit, find, walk
from tests.hub_server import WRITE_TOKEN, hub_process, running_hub
from tests.local_hub.conftest import Caller, put, put_lfs


def open_database(folder: Path) -> Database:
    database = Database(folder / "test.sqlite3")
    database.open()
    return database


def entry(content: bytes) -> Entry:
    return Entry(git_blob_oid(content), len(content), hashlib.sha256(content).hexdigest())


def test_trees_have_the_hashes_that_git_gives_them(tmp_path: Path) -> None:
    files = {"a.txt": b"1", "a/b.txt": b"2", "a0": b"3", "a/c/é.txt": b"4", "z/z": b""}
    work = tmp_path / "work"
    database = open_database(tmp_path)
    with database.write() as connection:
        edit = TreeEdit(connection, EMPTY_TREE)
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(content)
            edit.put(path, entry(content))
        tree = edit.write()
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=work, check=True)
    git = subprocess.run(["git", "write-tree"], cwd=work, check=True, capture_output=True)
    assert tree == git.stdout.decode().strip()


NAMES = st.sampled_from(["a", "b", "c.txt", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), PATHS, st.binary(max_size=2)),
        st.tuples(st.just("remove"), PATHS, st.booleans()),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return open_database(tmp_path_factory.mktemp("trees"))


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(EDITS, max_size=3))
def test_tree_edits_agree_with_a_plain_dict(
    batches: list[list[tuple[str, str, bytes | bool]]], database: Database
) -> None:
    model: dict[str, bytes] = {}
    root = EMPTY_TREE
    for edits in batches:
        with database.write() as connection:
            edit = TreeEdit(connection, root)
            for what, path, value in edits:
                below = [name for name in model if name.startswith(f"{path}/")]
                above = [name for name in model if path.startswith(f"{name}/")]
                try:
                    if isinstance(value, bytes):
                        edit.put(path, entry(value))
                        assert not below and not above, what
                        model[path] = value
                    else:
                        edit.remove(path, folder=value)
                        assert bool(below) if value else path in model, what
                        for name in below if value else [path]:
                            del model[name]
                except HubError:
                    possible = not below and not above
                    if not isinstance(value, bytes):
                        possible = bool(below) if value else path in model
                    assert not possible, (what, path)
            root = edit.write()
    with database.read() as connection:
        files = {p: e.oid for p, e in walk(connection, root) if not e.is_folder}
        assert files == {path: git_blob_oid(content) for path, content in model.items()}
        for path in model:
            found = find(connection, root, path)
            assert found is not None and found.oid == files[path]
    assert model or root == EMPTY_TREE


def test_kill_minus_9_while_writing_leaves_every_acknowledged_commit_whole(tmp_path: Path) -> None:
    root, seed = tmp_path / "hub", random.Random(7)
    acknowledged: list[str] = []
    with hub_process(root) as (url, _), Caller(url, WRITE_TOKEN) as owner:
        repo = owner.create("crash")
        acknowledged.append(owner.head(repo))

    def write_until_killed(owner: Caller) -> None:
        number = 0
        while True:
            number += 1
            content = seed.randbytes(200_000)
            try:
                sha256 = owner.upload_lfs(repo, content)
                lines = [put_lfs("big.bin", sha256, len(content)), put("n.txt", content[:20])]
                acknowledged.append(owner.commit(repo, *lines).json()["commitOid"])
            except httpx.TransportError:
                return

    for _ in range(3):
        with hub_process(root) as (url, process), Caller(url, WRITE_TOKEN) as owner:
            writer = threading.Thread(target=write_until_killed, args=(owner,))
            writer.start()
            threading.Event().wait(seed.uniform(0.1, 0.4))
            process.kill()
            writer.join()
    with running_hub(root) as hub, Caller(hub.url, WRITE_TOKEN) as owner:
        history = [
            commit["id"] for commit in owner.get(f"/api/datasets/{repo}/commits/main").json()
        ]
        assert set(acknowledged) <= set(history)
        assert len(history) <= len(acknowledged) + 3, "at most one unanswered commit a crash"
        for commit in history[:-1]:
            big = owner.get(f"/datasets/{repo}/resolve/{commit}/big.bin")
            assert f'"{hashlib.sha256(big.content).hexdigest()}"' == big.headers["ETag"]
            small = owner.get(f"/datasets/{repo}/resolve/{commit}/n.txt")
            assert small.content == big.content[:20]
        assert owner.commit(repo, put("after.txt", b"x"), parent=history[0]).status_code == 200
        assert list((root / "incoming").iterdir()) == []


def test_interrupted_upload_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub, Caller(hub.url, WRITE_TOKEN) as owner:
        repo = owner.create("broken-off")
        sha256 = hashlib.sha256(b"x" * 3_000_000).hexdigest()
        action = owner.lfs_action(repo, sha256, 3_000_000)
        assert action is not None

        def half() -> object:
            yield b"x" * 1_500_000
            raise ConnectionResetError("the client goes away")

        with pytest.raises(ConnectionResetError):
            owner.request(
                "PUT", action["href"], content=half(), headers={"Content-Length": "3000000"}
            )
        assert owner.lfs_action(repo, sha256, 3_000_000) is not None
    assert list((tmp_path / "hub" / "incoming").iterdir()) == []


def test_full_disk_is_said_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    with running_hub(tmp_path / "hub") as hub, Caller(hub.url, WRITE_TOKEN) as owner:
        repo = owner.create("full")
        head = owner.head(repo)
        with monkeypatch.context() as patch:
            patch.setattr("builder.local_hub.storage.blobs.sync", full)
            answer = owner.commit(repo, put("a.txt", b"1"))
            assert answer.status_code == 507
            assert "disk is full" in answer.json()["error"]
        assert owner.head(repo) == head
        assert owner.commit(repo, put("a.txt", b"1"), parent=head).status_code == 200


def test_contents_of_deleted_repositories_go_at_the_next_start(tmp_path: Path) -> None:
    root = tmp_path / "hub"

    def stored() -> set[str]:
        return {path.name for path in (root / "blobs").glob("??/*")}

    with running_hub(root) as hub, Caller(hub.url, WRITE_TOKEN) as owner:
        kept, gone = owner.create("kept"), owner.create("gone")
        shared, own = (owner.upload_lfs(gone, content) for content in (b"shared", b"own"))
        owner.upload_lfs(kept, b"shared")
        owner.commit(kept, put_lfs("a.bin", shared, 6))
        owner.commit(gone, put_lfs("a.bin", shared, 6), put_lfs("b.bin", own, 3))
        body = {"name": "gone", "organization": "demo", "type": "dataset"}
        assert owner.request("DELETE", "/api/repos/delete", json=body).status_code == 200
        assert {shared, own} <= stored()
    with running_hub(root) as hub, Caller(hub.url, WRITE_TOKEN) as owner:
        assert shared in stored()
        assert own not in stored()
        assert owner.get(f"/datasets/{kept}/resolve/main/a.bin").content == b"shared"
        owner.create("gone")
        assert owner.paths("demo/gone") == []
