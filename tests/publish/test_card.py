"""The lines a card tells its readers to copy, run as they stand against a real Hub."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from builder.publish import DatasetRepo, publish
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from tests.hub_server import RunningHub, client_environment, run_client

_SHOW = """
counts = {split: rows.num_rows for split, rows in dataset.items()}
texts = [row["query_text"] for rows in dataset.values() for row in rows]
print(counts, texts.count("corrected"))
"""


def snippet(releases: Workspace, version: str, repo: DatasetRepo) -> str:
    """What stands under Loading in a version's card, for this repository and a config that differs.

    Prints rows by split, and how many of them hold the text that came with 0.2.0.
    """
    card = (releases.releases_dir / version / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
    assert found
    lines = found[1].replace("OWNER/NAME", repo.repo_id)
    assert lines.count('"Retrieval"') == 1
    return lines.replace('"Retrieval"', '"VQA"') + _SHOW


def test_the_cards_lines_load_the_version_they_name(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    for version in ("0.1.0", "0.2.0"):
        publish(releases.releases_dir / version, repo)
    for version, num_corrected in (("0.1.0", 0), ("0.2.0", 1)):
        printed = run_client(snippet(releases, version, repo), hub.url, tmp_path)
        counts = read_manifest(releases.releases_dir / version).num_by_config["VQA"]
        assert printed.strip().splitlines()[-1] == f"{counts} {num_corrected}"


def test_the_cards_lines_refuse_a_tag_that_was_moved(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    done = publish(releases.releases_dir / "0.2.0", repo)
    repo.api.create_tag(repo.repo_id, tag="v0.1.0", revision=done.commit, repo_type="dataset")
    with pytest.raises(AssertionError, match=r"tag v0\.1\.0 holds version 0\.2\.0"):
        run_client(snippet(releases, "0.1.0", repo), hub.url, tmp_path)


def test_the_cards_lines_return_no_other_version_without_a_network(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    for version in ("0.1.0", "0.2.0"):
        publish(releases.releases_dir / version, repo)
    run_client(snippet(releases, "0.2.0", repo), hub.url, tmp_path)
    codes: dict[str, int] = {}
    for version in ("0.1.0", "0.2.0"):
        done = subprocess.run(
            [sys.executable, "-c", snippet(releases, version, repo)],
            env={**client_environment(hub.url, tmp_path), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        codes[version] = done.returncode
    assert codes == {"0.1.0": 1, "0.2.0": 0}
