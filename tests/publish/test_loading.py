"""Published versions load whole, streaming, exactly by version, and offline."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder.publish import (
    DatasetRepo,
    publish,
)
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from tests.hub_server import RunningHub, client_environment, run_client
from tests.publish.conftest import (
    FIRST,
    SECOND,
    the_release,
)

_LOAD_ONCE = """
import sys
from datasets import load_dataset
print(load_dataset(sys.argv[1], "Retrieval", revision="v0.1.0").num_rows)
"""


def test_a_cold_load_takes_twelve_requests_at_most(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    publish(the_release(releases), repo)
    num_before = len(hub.requests)
    printed = run_client(_LOAD_ONCE, hub.url, tmp_path, repo.repo_id)
    counts = read_manifest(the_release(releases)).num_by_config["Retrieval"]
    assert printed.strip() == str(counts)
    assert len(counts) == 2
    assert len(hub.requests) - num_before <= 12


_LOAD = """
import sys
from datasets import load_dataset
from schemas.load import load_version

def num_corrected(rows):
    return sum(row["query_text"] == "corrected" for row in rows)

for version in ("0.1.0", "0.2.0"):
    whole = load_dataset(sys.argv[1], "VQA", revision=f"v{version}")
    print(version, whole.num_rows, whole["train"][0]["query_image"].size)
    streamed = load_dataset(sys.argv[1], "VQA", revision=f"v{version}", streaming=True)
    exactly = load_version(sys.argv[1], "VQA", version)
    for loaded in (whole, streamed, exactly):
        print(sum(num_corrected(rows) for rows in loaded.values()))
"""
_LOAD_EXACTLY = """
import sys
from schemas.load import load_version
rows = [row for split in load_version(sys.argv[1], "VQA", "0.1.0").values() for row in split]
print(sum(row["query_text"] == "corrected" for row in rows))
"""


def test_a_version_is_loaded_whole_streaming_exactly_and_offline(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    for version in (FIRST, SECOND):
        publish(the_release(releases, version), repo)
    printed = run_client(_LOAD, hub.url, tmp_path, repo.repo_id).splitlines()
    for lines, version, num_corrected in ((printed[:4], FIRST, "0"), (printed[4:], SECOND, "1")):
        counts = read_manifest(the_release(releases, version)).num_by_config["VQA"]
        assert lines == [
            f"{version} {counts} (40, 32)",
            num_corrected,
            num_corrected,
            num_corrected,
        ]
    offline = {**client_environment(hub.url, tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_EXACTLY, repo.repo_id],
        env=offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "0", done.stderr


def test_load_version_refuses_a_tag_that_was_moved(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    done = publish(the_release(releases, SECOND), repo)
    repo.api.create_tag(repo.repo_id, tag="v0.1.0", revision=done.commit, repo_type="dataset")
    with pytest.raises(AssertionError, match=r"tag v0\.1\.0 holds version 0\.2\.0"):
        run_client(_LOAD_EXACTLY, hub.url, tmp_path, repo.repo_id)
