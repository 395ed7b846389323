"""The official clients, each in a process of its own, against a served Hub."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.local_hub import Limits
from tests.hub_server import (
    OTHER_TOKEN,
    READ_TOKEN,
    RunningHub,
    client_environment,
    run_client,
    running_hub,
)

PART_BYTES = 1 << 20


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    """A Hub of its own for each client, with small parts so that uploads come in several."""
    with running_hub(tmp_path / "hub", limits=Limits(part_bytes=PART_BYTES)) as running:
        yield running


API_CLIENT = r"""
import io, os, random
from pathlib import Path
from huggingface_hub import (CommitOperationAdd, CommitOperationCopy, CommitOperationDelete,
    HfApi, HfFileSystem, snapshot_download)
from huggingface_hub.errors import (EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError,
    RevisionNotFoundError)

def refused(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except HfHubHTTPError as error:
        assert error.response.status_code == status, error
        return error
    raise AssertionError(f"expected a refusal with {status}")

api, home = HfApi(), Path(os.environ["HF_HOME"])
assert api.whoami()["name"] == "demo"
assert not api.repo_exists("demo/pics", repo_type="dataset")
url = api.create_repo("pics", repo_type="dataset", private=True)
assert url.repo_id == "demo/pics"
api.create_repo("demo/pics", repo_type="dataset", exist_ok=True)
repo = {"repo_id": "demo/pics", "repo_type": "dataset"}
first = api.dataset_info("demo/pics").sha

big = random.Random(1).randbytes(2_500_000)
card = b"---\nlicense: mit\nlanguage:\n- fr\nversion: 0.1.0\n---\n# Pictures\n"
commit = api.create_commit(
    **repo,
    operations=[
        CommitOperationAdd("README.md", card),
        CommitOperationAdd("data/a.parquet", big),
        CommitOperationAdd("data/b.parquet", io.BytesIO(b"PAR1" + b"\0" * 1000)),
        CommitOperationAdd("empty.parquet", b""),
        CommitOperationAdd("notes/caf\u00e9 #1.txt", "na\u00efve".encode()),
    ],
    commit_message="v1", commit_description="more\nwords", parent_commit=first,
)
assert commit.repo_url.repo_id == "demo/pics"
again = api.create_commit(**repo, operations=[CommitOperationAdd("data/a.parquet", big)],
                          commit_message="same")
assert again.oid == commit.oid, "an unchanged file makes no commit"
stale = refused(412, api.create_commit, **repo, commit_message="late", parent_commit=first,
                operations=[CommitOperationAdd("x.txt", b"x")])
assert "A commit has happened since" in str(stale)
try:
    api.create_commit(**repo, operations=[CommitOperationAdd("README.md", b"---\na: [\n---\n")],
                      commit_message="bad card")
except ValueError as error:
    assert "invalid YAML" in str(error)
else:
    raise AssertionError("a bad card must be refused")

api.create_tag(**repo, tag="v0.1.0", tag_message="first", revision=commit.oid)
refused(409, api.create_tag, **repo, tag="v0.1.0")
api.create_tag(**repo, tag="v0.1.0", exist_ok=True)

(home / "up" / "sub").mkdir(parents=True)
(home / "up" / "one.bin").write_bytes(big[::-1])
(home / "up" / "sub" / "two.txt").write_text("two")
api.upload_folder(**repo, folder_path=home / "up", path_in_repo="up")
api.upload_file(**repo, path_or_fileobj=home / "up" / "one.bin", path_in_repo="copy.bin")
api.create_commit(**repo, commit_message="copy and delete", operations=[
    CommitOperationCopy("data/a.parquet", "data/c.parquet"),
    CommitOperationCopy("up/sub/two.txt", "three.txt"),
    CommitOperationDelete("up/"),
])
api.delete_file("copy.bin", **repo)
names = sorted(api.list_repo_files(**repo))
assert names == [".gitattributes", "README.md", "data/a.parquet", "data/b.parquet",
                 "data/c.parquet", "empty.parquet", "notes/caf\u00e9 #1.txt", "three.txt"], names
(info,) = api.get_paths_info(**repo, paths="data/c.parquet")
assert info.size == info.lfs.size == len(big)
(info,) = api.get_paths_info(**repo, paths=["three.txt", "none"], expand=True)
assert info.lfs is None and info.last_commit.title == "copy and delete"
tree = [entry.path for entry in api.list_repo_tree(**repo, recursive=True, revision="v0.1.0")]
assert "data" in tree and "up" not in tree
siblings = api.dataset_info("demo/pics", revision="v0.1.0", files_metadata=True).siblings
assert {s.rfilename: s.size for s in siblings}["data/a.parquet"] == len(big)

api.create_branch(**repo, branch="next/one", revision="v0.1.0")
api.upload_file(**repo, path_or_fileobj=b"n", path_in_repo="n.txt", revision="next/one")
refs = api.list_repo_refs(**repo, include_pull_requests=True)
assert [b.name for b in refs.branches] == ["main", "next/one"]
assert [(t.name, t.target_commit) for t in refs.tags] == [("v0.1.0", commit.oid)]
titles = [c.title for c in api.list_repo_commits(**repo, formatted=True)]
assert titles[-2:] == ["v1", "initial commit"] and titles[1] == "copy and delete", titles
api.create_tag(**repo, tag="v0.2.0", revision="next/one")
api.delete_tag(**repo, tag="v0.2.0")
assert not api.revision_exists(**repo, revision="v0.2.0")
assert api.file_exists(**repo, filename="n.txt", revision="next/one")
assert not api.file_exists(**repo, filename="n.txt")
api.delete_branch(**repo, branch="next/one")

folder = Path(snapshot_download(**repo, revision="v0.1.0"))
assert folder.name == commit.oid
assert (folder / "data/a.parquet").read_bytes() == big
assert (folder / "empty.parquet").read_bytes() == b""
assert (folder / "notes/caf\u00e9 #1.txt").read_text("utf-8") == "na\u00efve"
assert not (folder / "three.txt").exists()
for error, call in (
    (RevisionNotFoundError, lambda: api.dataset_info("demo/pics", revision="v9")),
    (EntryNotFoundError, lambda: api.hf_hub_download(**repo, filename="none")),
    (RepositoryNotFoundError, lambda: api.dataset_info("demo/none")),
):
    try:
        call()
    except error:
        continue
    raise AssertionError(error)

fs = HfFileSystem()
root = "datasets/demo/pics"
assert fs.read_text(f"{root}@v0.1.0/README.md").startswith("---")
assert [p.rsplit("/")[-1] for p in fs.glob(f"{root}/data/*.parquet")] == [
    "a.parquet", "b.parquet", "c.parquet"]
with fs.open(f"{root}/data/a.parquet", "rb", block_size=2**16) as file:
    file.seek(1_000_000)
    assert file.read(100) == big[1_000_000:1_000_100]
fs.write_bytes(f"{root}/by-fs.bin", b"\0\1")
assert fs.info(f"{root}/by-fs.bin")["size"] == 2
fs.cp_file(f"{root}/by-fs.bin", f"{root}/by-fs-2.bin")
fs.rm(f"{root}/by-fs.bin")
assert not fs.exists(f"{root}/by-fs.bin", refresh=True) and fs.isfile(f"{root}/by-fs-2.bin")

assert [d.id for d in api.list_datasets(author="demo", filter="language:fr")] == ["demo/pics"]
assert api.dataset_info("demo/pics").card_data.version == "0.1.0"
api.update_repo_settings(**repo, private=False)
assert HfApi(token=False).dataset_info("demo/pics").private is False
api.super_squash_history(**repo, commit_message="squashed")
assert [c.title for c in api.list_repo_commits(**repo)] == ["squashed"]
assert list(api.get_repo_discussions("demo/pics", repo_type="dataset")) == []
try:
    list(api.list_lfs_files("demo/pics", repo_type="dataset"))
except HfHubHTTPError as error:
    assert error.response.status_code == 501 and "This Hub" in str(error), error
else:
    raise AssertionError("not refused")
api.move_repo("demo/pics", "demo/moved", repo_type="dataset")
api.delete_repo("demo/moved", repo_type="dataset")
api.delete_repo("demo/moved", repo_type="dataset", missing_ok=True)
assert list(api.list_datasets()) == []
print("done")
"""


@pytest.mark.parametrize("xet", [False, True], ids=["lfs", "xet"])
def test_hf_api_snapshot_download_and_file_system_work(
    hub: RunningHub, tmp_path: Path, xet: bool
) -> None:
    assert run_client(API_CLIENT, hub.url, tmp_path / "home", xet=xet).strip() == "done"
    sent = [request.split("/")[1] for request in hub.requests]
    assert ("xet" in sent) is xet
    assert any("/lfs/part" in request for request in hub.requests)


ROLES_CLIENT = r"""
import sys
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
read, other = HfApi(token=sys.argv[1]), HfApi(token=sys.argv[2])
owner, nobody = HfApi(), HfApi(token=False)
owner.create_repo("demo/secret", repo_type="dataset", private=True)
owner.create_repo("demo/open", repo_type="dataset")
upload = dict(path_or_fileobj=b"x", path_in_repo="x.txt", repo_type="dataset")
assert read.dataset_info("demo/secret").private
for api in (other, nobody):
    for call in (lambda: api.dataset_info("demo/secret"),
                 lambda: api.upload_file(repo_id="demo/secret", **upload)):
        try:
            call()
        except RepositoryNotFoundError as error:
            assert error.response.status_code == (404 if api is other else 401)
        else:
            raise AssertionError("a private repository must look absent")
refusals = ((read, 403, "read-only"), (other, 403, "rights"), (nobody, 401, "token"))
for api, status, words in refusals:
    try:
        api.upload_file(repo_id="demo/open", **upload)
    except HfHubHTTPError as error:
        assert error.response.status_code == status and words in str(error), error
    else:
        raise AssertionError("only the owner's write token may write")
try:
    HfApi(token="hub_unknown").whoami()
except HfHubHTTPError as error:
    assert error.response.status_code == 401 and "hub_unknown" not in str(error)
"""


def test_clients_are_told_in_words_what_they_may_not_do(hub: RunningHub, tmp_path: Path) -> None:
    run_client(ROLES_CLIENT, hub.url, tmp_path / "home", READ_TOKEN, OTHER_TOKEN)


PUSH_CLIENT = r"""
import datasets, io
from PIL import Image
from huggingface_hub import HfApi
datasets.config.USE_PARQUET_EXPORT = False

def rows(num_rows, offset):
    return datasets.Dataset.from_list(
        [{"id": f"r{i}", "text": f"\u65e5\u672c {i + offset}",
          "image": Image.new("RGB", (8, 8), (i % 256, offset, 7))} for i in range(num_rows)],
        features=datasets.Features({name: datasets.Value("string") for name in ("id", "text")}
                                   | {"image": datasets.Image()}))

api = HfApi()
for version, num_rows, offset in (("v0.1.0", 20, 0), ("v0.2.0", 25, 100)):
    for config in ("Retrieval", "VQA"):
        parts = datasets.DatasetDict(train=rows(num_rows, offset), validation=rows(3, offset))
        shards = {"train": 2, "validation": 1}
        parts.push_to_hub("demo/pushed", config_name=config, num_shards=shards)
    api.create_tag("demo/pushed", tag=version, repo_type="dataset")
"""

LOAD_CLIENT = r"""
import datasets
datasets.config.USE_PARQUET_EXPORT = False
for revision in ("v0.1.0", "v0.2.0", None):
    loaded = datasets.load_dataset("demo/pushed", "Retrieval", revision=revision)
    assert loaded["train"][3]["image"].getpixel((0, 0))[0] == 3
    print(len(loaded["train"]), loaded["train"][0]["text"], len(loaded["validation"]))
for revision in ("v0.1.0", None):
    rows = datasets.load_dataset("demo/pushed", "VQA", split="train", streaming=True,
                                 revision=revision)
    print(sum(1 for _ in rows), next(iter(rows))["text"])
"""


def test_push_to_hub_then_load_and_stream_each_version(hub: RunningHub, tmp_path: Path) -> None:
    run_client(PUSH_CLIENT, hub.url, tmp_path / "pusher")
    printed = run_client(LOAD_CLIENT, hub.url, tmp_path / "cold", token=None)
    old, new = "日本 0", "日本 100"
    assert printed.splitlines() == [
        f"20 {old} 3",
        f"25 {new} 3",
        f"25 {new} 3",
        f"20 {old}",
        f"25 {new}",
    ]


def test_push_to_hub_works_by_xet_too(hub: RunningHub, tmp_path: Path) -> None:
    load = """
loaded = datasets.load_dataset("demo/pushed", "VQA", revision="v0.1.0", split="train")
print(len(loaded), loaded[7]["text"])
"""
    printed = run_client(PUSH_CLIENT + load, hub.url, tmp_path / "home", xet=True)
    assert printed.splitlines() == ["20 日本 7"]
    assert not any(request.startswith("PUT /lfs/") for request in hub.requests)


def test_a_config_of_two_files_loads_in_eleven_requests(hub: RunningHub, tmp_path: Path) -> None:
    script = r"""
import io, pyarrow, pyarrow.parquet
from huggingface_hub import CommitOperationAdd, HfApi
def table(text):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": [text]}), file)
    return file.getvalue()
card = b'''---
configs:
- config_name: VQA
  data_files:
  - {split: train, path: data/VQA/train-fr.parquet}
  - {split: validation, path: data/VQA/validation-fr.parquet}
---
'''
api = HfApi()
api.create_repo("demo/small", repo_type="dataset")
commit = api.create_commit("demo/small", repo_type="dataset", commit_message="v1", operations=[
    CommitOperationAdd("README.md", card),
    CommitOperationAdd("data/VQA/train-fr.parquet", table("a")),
    CommitOperationAdd("data/VQA/validation-fr.parquet", table("b"))])
api.create_tag("demo/small", tag="v1.0.0", repo_type="dataset", revision=commit.oid)
"""
    run_client(script, hub.url, tmp_path / "writer")
    hub.requests.clear()
    load = "from datasets import load_dataset as load; load('demo/small', 'VQA', revision='v1.0.0')"
    run_client(load, hub.url, tmp_path / "cold")
    assert len(hub.requests) <= 11, hub.requests


def test_hf_command_line_works(hub: RunningHub, tmp_path: Path) -> None:
    hf = shutil.which("hf", path=str(Path(sys.executable).parent))
    assert hf is not None
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "a.bin").write_bytes(b"\0" * 3000)
    (tmp_path / "up" / "b.txt").write_text("text")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [hf, *arguments],
            env=client_environment(hub.url, tmp_path / "home", xet=True),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "demo" in run("auth", "whoami")
    run("repos", "create", "demo/cli", "--repo-type", "dataset", "--private")
    run("upload", "demo/cli", str(tmp_path / "up"), "data", "--repo-type", "dataset")
    run("repos", "tag", "create", "demo/cli", "v1", "--repo-type", "dataset")
    run("download", "demo/cli", "--repo-type=dataset", "--revision=v1", f"--local-dir={tmp_path}/d")
    assert (tmp_path / "d" / "data" / "a.bin").read_bytes() == b"\0" * 3000
    assert json.loads(run("datasets", "info", "demo/cli", "--format", "json"))["private"] is True
    assert "data/b.txt" in run("datasets", "ls", "demo/cli", "-R")
