"""A version is opened by one name everywhere; its manifest decides, and its files are whole."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from huggingface_hub import HfApi

from schemas.manifest import ManifestError
from schemas.versions import VersionError, open_version, parse_number
from tests.curation_app.tiny_release import tiny_samples, write_release
from tests.hub_server import READ_TOKEN, WRITE_TOKEN, RunningHub, client_environment, running_hub

ROOT = Path(__file__).parents[2]
REPO = "demo/tiny"

_OPEN = """
import json, sys
from schemas.errors import PolysceneError
from schemas.versions import open_version
names, configs = json.loads(sys.argv[1]), json.loads(sys.argv[2])
for name in names:
    try:
        found = open_version(name, configs=configs)
    except PolysceneError as error:
        print(json.dumps({"error": str(error)}))
        continue
    files = [str(path.relative_to(found.directory)) for path in found.directory.rglob("*.parquet")]
    print(json.dumps({"label": found.label, "number": found.number, "commit": found.commit,
        "given": found.given, "files": sorted(files)}))
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples, images = tiny_samples()
    return write_release(tmp_path_factory.mktemp("versions") / "0.1.0", samples, images)


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def change_manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "manifest.json"
    content = orjson.loads(path.read_bytes())
    change(content)
    path.write_bytes(orjson.dumps(content))


@pytest.mark.parametrize("number", ["", "@0.1.0", "@v0.1.0"])
def test_a_directory_opens_by_path_and_number(release: Path, number: str) -> None:
    version = open_version(f"{release}{number}")
    assert (version.directory, version.number, version.commit) == (release, "0.1.0", None)
    assert version.given == f"{release}{number}"
    assert version.label == "tiny@0.1.0"  # no local path
    assert version.num_train_rows == 30
    (shard,) = version.shards("VQA", "train")
    assert version.path(shard).is_file() and version.shards("VQA", "validation") == []


@pytest.mark.parametrize("number", ["0.2.0", "v0.2.0", "9.9.9"])
def test_a_directory_of_another_version_is_refused(release: Path, number: str) -> None:
    """Case use/02: every spelling is compared with the manifest."""
    said = rf"this directory is version 0\.1\.0, not {number.removeprefix('v')}.*ask for 0\.1\.0"
    with pytest.raises(VersionError, match=said):
        open_version(f"{release}@{number}")
    with pytest.raises(VersionError, match=said):
        open_version(str(release), revision=number)


@pytest.mark.parametrize("number", ["main", "latest", "0.1", "01.1.0", "0.1.0-rc1", "", "٠.١.٠"])
def test_what_is_no_number_is_refused(release: Path, number: str) -> None:
    for name, revision in ((f"{release}@{number}", None), (str(release), number)):
        with pytest.raises(VersionError, match=r"not a version number.*Write X\.Y\.Z"):
            open_version(name, revision=revision)


def test_a_name_and_a_revision_must_agree(release: Path) -> None:
    assert open_version(f"{release}@0.1.0", revision="v0.1.0").number == "0.1.0"
    with pytest.raises(VersionError, match=r"it names 0\.1\.0, but the revision says 0\.2\.0"):
        open_version(f"{release}@0.1.0", revision="0.2.0")


def test_a_directory_without_a_manifest_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match=r"no manifest\.json.*Name a release directory"):
        open_version(str(tmp_path))
    with pytest.raises(VersionError, match=r"no such directory\. Name a release directory"):
        open_version(str(tmp_path / "absent"))


def test_a_directory_of_releases_names_them(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(VersionError, match=r"contains releases \(copy\): name one, such as .*copy"):
        open_version(str(tmp_path))


def test_a_directory_may_have_an_at_sign_in_its_name(copy: Path, tmp_path: Path) -> None:
    for name in ("me@home", "tiny@0.2.0"):
        directory = copy.rename(tmp_path / name)
        assert open_version(str(directory)).number == "0.1.0"
        assert open_version(f"{directory}@0.1.0").number == "0.1.0"
        copy = directory


def test_files_that_are_gone_or_cut_short_are_named(copy: Path) -> None:
    shard = copy / "data" / "VQA" / "train-0.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    said = rf"data/VQA/train-0\.parquet: damaged or only partly copied \({len(whole) - 1:,} bytes"
    with pytest.raises(VersionError, match=said):
        open_version(str(copy))
    shard.unlink()
    with pytest.raises(VersionError, match=r"VQA/train-0\.parquet: missing.*Fetch or release"):
        open_version(str(copy))
    assert open_version(str(copy), configs=["Retrieval"]).number == "0.1.0"


@pytest.mark.parametrize("path", ["../secret.parquet", "/etc/passwd", "data//x", "a\\b", "./x"])
def test_a_manifest_that_leaves_its_release_is_refused(copy: Path, path: str) -> None:
    change_manifest(copy, lambda content: content["shards"][0].update(path=path))
    with pytest.raises(VersionError, match="outside the release"):
        open_version(str(copy))


def test_a_manifest_that_cannot_be_read_is_one_error(copy: Path) -> None:
    (copy / "manifest.json").write_text("{")
    with pytest.raises(ManifestError, match="unreadable"):
        open_version(str(copy))


@pytest.mark.parametrize(
    "fields", [{"version": "main"}, {"name": "a\nb"}, {"name": ""}, {"name": "x" * 500}]
)
def test_a_manifest_names_a_dataset_and_a_number(copy: Path, fields: dict[str, str]) -> None:
    change_manifest(copy, lambda content: content.update(fields))
    with pytest.raises(VersionError, match="its manifest says name") as refused:
        open_version(str(copy))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_numbers_sort_as_numbers() -> None:
    numbers = ["v0.10.0", "0.9.1", "1.0.0", "0.9.10"]
    assert sorted(numbers, key=lambda text: parse_number(text) or ()) == [
        "0.9.1",
        "0.9.10",
        "v0.10.0",
        "1.0.0",
    ]


@pytest.fixture(scope="module")
def hub(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A private repository: 0.1.0, 0.10.0 without VQA, and v0.2.0, which is not true."""
    root = tmp_path_factory.mktemp("hub")
    with running_hub(root / "hub") as hub:
        api = HfApi(endpoint=hub.url, token=WRITE_TOKEN)
        api.create_repo(REPO, repo_type="dataset", private=True)
        api.upload_folder(repo_id=REPO, repo_type="dataset", folder_path=release)
        for tag in ("v0.1.0", "v0.2.0", "latest"):
            api.create_tag(REPO, tag=tag, repo_type="dataset")
        samples, images = tiny_samples()
        kept = [sample for sample in samples if sample.config != "VQA"]
        later = write_release(root / "0.10.0", kept, images, version="0.10.0")
        api.upload_folder(
            repo_id=REPO, repo_type="dataset", folder_path=later, delete_patterns="data/VQA/*"
        )
        api.create_tag(REPO, tag="v0.10.0", repo_type="dataset")
        api.create_repo("demo/empty", repo_type="dataset")
        yield hub


def opened(
    hub: RunningHub,
    home: Path,
    *names: str,
    configs: list[str] | None = None,
    token: str | None = READ_TOKEN,
    **settings: str,
) -> list[dict[str, Any]]:
    """What `open_version` says of names, in a process with this Hub and a cache of its own."""
    home.mkdir(exist_ok=True)
    environment = client_environment(hub.url, home, token) | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, json.dumps(names), json.dumps(configs)],
        cwd=home,
        env={**environment, "HF_HUB_OFFLINE": "0", **settings},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert READ_TOKEN not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_repository_opens_at_its_tag_or_at_the_newest(hub: RunningHub, tmp_path: Path) -> None:
    first, same, newest, one_config = opened(
        hub, tmp_path, f"{REPO}@0.1.0", f"{REPO}@v0.1.0", REPO, f"{REPO}@0.10.0"
    )
    assert first == same | {"given": f"{REPO}@0.1.0"}
    assert first["label"] == f"{REPO}@0.1.0" and len(first["commit"]) == 40
    assert first["files"] == [
        f"data/{c}/train-0.parquet" for c in ("Classification", "Retrieval", "VQA")
    ]
    assert newest["number"] == "0.10.0"  # not 0.2.0, which sorts after it as text
    assert newest["commit"] == one_config["commit"] != first["commit"]


def test_only_the_configs_asked_for_are_fetched(hub: RunningHub, tmp_path: Path) -> None:
    (found,) = opened(hub, tmp_path, f"{REPO}@0.1.0", configs=["VQA"])
    assert found["files"] == ["data/VQA/train-0.parquet"]


def test_a_hub_without_the_version_says_what_it_has(hub: RunningHub, tmp_path: Path) -> None:
    names = [f"{REPO}@9.9.9", f"{REPO}@0.2.0", f"{REPO}@main", "demo/nothing@0.1.0", "demo/empty"]
    said = [answer["error"] for answer in opened(hub, tmp_path, *names)]
    assert "has no version v9.9.9. It has 0.1.0, 0.2.0, 0.10.0." in said[0]
    assert "the Hub gave version 0.1.0 under tag v0.2.0. The tag was moved" in said[1]
    assert "'main' is not a version number" in said[2]
    assert "the Hub has no such dataset" in said[3] and "HF_TOKEN" in said[3]
    assert "the Hub has no version of it" in said[4]
    (hidden,) = opened(hub, tmp_path, f"{REPO}@0.1.0", token=None)
    assert "the token does not open it" in hidden["error"]


def test_without_a_network_a_cached_version_opens_and_no_other(
    hub: RunningHub, tmp_path: Path
) -> None:
    names = (f"{REPO}@0.1.0", f"{REPO}@0.10.0", REPO)
    (nothing, _, _) = opened(hub, tmp_path, *names, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set. Unset it; none is cached here." in nothing["error"]
    (online,) = opened(hub, tmp_path, names[0])
    for setting in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        cached, other, newest = opened(hub, tmp_path, *names, **setting)
        assert cached == online
        assert "is not in the Hugging Face cache" in other["error"]
        assert "no number was given" in newest["error"]
        assert "name one that is cached (0.1.0)" in newest["error"]


def test_a_half_downloaded_version_is_named_and_completed(hub: RunningHub, tmp_path: Path) -> None:
    name = f"{REPO}@0.1.0"
    opened(hub, tmp_path, name, configs=["VQA"])
    (part,) = opened(hub, tmp_path, name, HF_HUB_OFFLINE="1")
    assert "only a part of this version is in the Hugging Face cache" in part["error"]
    (whole,) = opened(hub, tmp_path, name)
    assert len(whole["files"]) == 3
    (blob,) = (path for path in tmp_path.rglob("snapshots/*/data/VQA/*.parquet"))
    os.truncate(blob.resolve(), 1_000)
    (cut,) = opened(hub, tmp_path, name)
    assert "VQA/train-0.parquet: damaged or only partly copied (1,000 bytes" in cut["error"]
    assert f"hf cache rm dataset/{REPO}" in cut["error"]
