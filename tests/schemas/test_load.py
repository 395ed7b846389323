"""`load_version` as users copy it: its source alone, in a process that knows nothing of ours."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from schemas.load import load_version
from tests.curation_app.tiny_release import tiny_samples, write_release
from tests.hub_server import READ_TOKEN, WRITE_TOKEN, RunningHub, client_environment, running_hub

REPO = "demo/tiny"

_USE = """
try:
    loaded = load_version(*sys.argv[1:])
except OSError as error:
    raise SystemExit(f"an OSError: {type(error).__name__}")
images = [row["query_image"] for split in loaded.values() for row in split]
print(loaded.num_rows, {image.size for image in images if image is not None})
"""
_COPIED = f"import sys\nfrom typing import Any\n\n{inspect.getsource(load_version)}\n{_USE}"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A private repository with version 0.1.0, and on it a tag v0.2.0 that is not true."""
    root = tmp_path_factory.mktemp("load")
    samples, images = tiny_samples()
    release = write_release(root / "release", samples, images)
    with running_hub(root / "hub") as hub:
        api = HfApi(endpoint=hub.url, token=WRITE_TOKEN)
        api.create_repo(REPO, repo_type="dataset", private=True)
        api.upload_folder(repo_id=REPO, repo_type="dataset", folder_path=release)
        for tag in ("v0.1.0", "v0.2.0"):
            api.create_tag(REPO, tag=tag, repo_type="dataset")
        yield hub


def load(
    hub: RunningHub, home: Path, *words: str, token: str | None = READ_TOKEN, **settings: str
) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    environment = client_environment(hub.url, home, token)
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [sys.executable, "-c", _COPIED, REPO, *words],
        cwd=home,
        env={**environment, "HF_HUB_OFFLINE": "0", **settings},
        capture_output=True,
        text=True,
    )


def test_a_private_version_loads_with_the_token_of_the_environment(
    hub: RunningHub, tmp_path: Path
) -> None:
    for version in ("0.1.0", "v0.1.0"):
        done = load(hub, tmp_path, "VQA", version)
        assert done.stdout.strip() == "{'train': 5} {(160, 160)}", done.stderr
    done = load(hub, tmp_path, "VQA", "0.1.0", HF_HUB_OFFLINE="1")
    assert done.stdout.strip() == "{'train': 5} {(160, 160)}", done.stderr


def test_a_private_version_does_not_load_without_a_token(hub: RunningHub, tmp_path: Path) -> None:
    done = load(hub, tmp_path, "VQA", "0.1.0", token=None)
    assert done.returncode != 0 and "RepositoryNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("config", "version", "said"),
    [
        ("VQA", "0.2.0", "tag v0.2.0 holds version 0.1.0. The tag was moved; ask for 0.1.0"),
        ("VQA", "0.3.0", "RevisionNotFoundError"),
        ("vqa", "0.1.0", "has no config 'vqa'. It has Classification, Retrieval, VQA."),
    ],
)
def test_nothing_but_what_was_asked_for_is_returned(
    hub: RunningHub, tmp_path: Path, config: str, version: str, said: str
) -> None:
    done = load(hub, tmp_path, config, version)
    assert done.returncode != 0 and done.stdout == ""
    assert said in done.stderr


def test_without_a_network_a_version_is_whole_or_refused(hub: RunningHub, tmp_path: Path) -> None:
    assert load(hub, tmp_path, "VQA", "0.1.0").returncode == 0
    done = load(hub, tmp_path, "Retrieval", "0.1.0", HF_HUB_OFFLINE="1")
    assert done.returncode != 0 and done.stdout == ""
    assert "an OSError: " in done.stderr
