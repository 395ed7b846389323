"""The changelog of a version names every version before it, restored ones among them."""

import re
import shutil
from pathlib import Path

from builder.publish.rollback import manifest_json, restored_manifest
from builder.release import Version, open_inputs, release
from builder.workspace import Workspace
from schemas.manifest import MANIFEST_NAME, read_manifest
from tests.release.small_workspace import kept_samples, review, save_reviews, small_workspace


def make(workspace: Workspace, version: str) -> str:
    """Makes a version; its changelog."""
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, Version.parse(version), workspace.releases_dir)
    return (made.directory / "CHANGELOG.md").read_text(encoding="utf-8")


def restore(workspace: Workspace, wanted: str, version: str, previous: str) -> None:
    """Puts a version there that holds another's files under a manifest of its own."""
    old, new = workspace.releases_dir / wanted, workspace.releases_dir / version
    shutil.copytree(old, new)
    manifest = restored_manifest(
        read_manifest(old), Version.parse(version), Version.parse(previous)
    )
    (new / MANIFEST_NAME).chmod(0o644)
    (new / MANIFEST_NAME).write_bytes(manifest_json(manifest))


def test_a_version_that_restored_another_is_in_the_changelog_after_it(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "ws")
    make(workspace, "0.1.0")
    save_reviews(workspace, [review(kept_samples(workspace)[0], 1, verdict="reject")])
    make(workspace, "0.2.0")
    restore(workspace, "0.1.0", "0.2.1", "0.2.0")
    workspace.reviews_path.unlink()
    text = make(workspace, "0.3.0")
    rolled_back = "0.2.0 (rolled back by 0.2.1)"
    assert re.findall("^## (.*)$", text, re.MULTILINE) == ["0.3.0", "0.2.1", rolled_back, "0.1.0"]
    restored = text.split("## 0.2.1\n\n")[1].split("\n\n")[0].splitlines()
    assert restored[0].startswith("- Restores version 0.1.0")
    assert restored[1] == "- Version 0.2.0, which came before it, is rolled back."
    later = make(workspace, "0.4.0")
    headings = ["0.4.0", "0.3.0", "0.2.1", rolled_back, "0.1.0"]
    assert re.findall("^## (.*)$", later, re.MULTILINE) == headings


def test_a_changelog_without_a_restored_version_is_as_it_was(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "ws")
    first = make(workspace, "0.1.0")
    assert first == "# Changelog\n\n## 0.1.0\n\n- First version: 60 samples in 6 languages.\n"
    second = make(workspace, "0.2.0")
    assert second == (
        "# Changelog\n\n## 0.2.0\n\n"
        "- Against 0.1.0 (local): 0 rows added, 0 removed, 0 changed.\n\n"
        + first.removeprefix("# Changelog\n\n")
    )
