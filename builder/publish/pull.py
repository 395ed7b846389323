"""Rebuilds a workspace from a published version, to continue there on another machine.

The version itself is kept as a release, so that the next one reuses its
unchanged shards. Its images go into the image store, its rows into the ledger
with the texts they had before reviewers edited them, its review events beside
the ledger. Requests and replies were never published and are not restored; nor
are images that no row used, or dropped rows, of which only the counts are kept.
"""

from dataclasses import dataclass
from pathlib import Path

import orjson

from builder.config import save_config
from builder.progress import Progress, no_progress
from builder.publish.baseline import note_published
from builder.publish.errors import PublishError
from builder.publish.fetch import fetch_version
from builder.publish.incoming_rows import add_images, add_rows
from builder.publish.published_reviews import published_events
from builder.publish.pulled_config import pulled_config
from builder.publish.repo import DatasetRepo
from builder.release.compare import version_on_disk
from builder.release.inputs import ORIGIN_NAME
from builder.release.versions import Version
from builder.workspace import Workspace, open_workspace
from schemas.review import write_events


@dataclass(frozen=True, slots=True)
class Pulled:
    """The workspace, and the fields of the published configuration that were reset."""

    workspace: Workspace
    reset: list[str]


def pull(
    repo: DatasetRepo,
    version: Version,
    root: Path,
    progress: Progress = no_progress,
) -> Pulled:
    """Rebuilds a workspace from a published version.

    After an interruption, the next call starts again and keeps what was downloaded.

    Args:
        repo: The repository.
        version: The version to pull.
        root: Directory of the workspace; new, or one where a pull was interrupted.
        progress: Called as bytes and rows are read.

    Raises:
        PublishError: There is no such version, or the workspace has a build already.
    """
    commit = repo.commit_of(version)
    repo.version_manifest(version, commit)
    workspace = open_workspace(root, create=True)
    with workspace.locked():
        _refuse_used(workspace)
        directory, manifest = fetch_version(repo, version, commit, workspace.releases_dir, progress)
        config, reset = pulled_config(directory / "config.yaml")
        events = list(published_events(version_on_disk(directory, manifest)))
        add_images(directory, manifest, workspace, config.images, progress)
        add_rows(directory, manifest, workspace, events, progress)
        if events:
            write_events(workspace.reviews_path, events)
        _save_origin(directory, workspace, repo, version)
        note_published(workspace, repo, directory)
        # Last, since a workspace with a configuration counts as complete.
        save_config(config, workspace.config_path)
    return Pulled(workspace, reset)


def _refuse_used(workspace: Workspace) -> None:
    if workspace.config_path.exists():
        raise PublishError(
            f"{workspace.root}: this workspace already has a build. Pull into a new directory."
        )
    for path in (workspace.ledger_path, *workspace.root.glob("ledger.sqlite-*")):
        path.unlink(missing_ok=True)


def _save_origin(
    directory: Path, workspace: Workspace, repo: DatasetRepo, version: Version
) -> None:
    quality = orjson.loads((directory / "quality.json").read_bytes())
    origin = {
        "version": str(version),
        "where": f"{repo.repo_id} version {version}",
        "drops": quality["drops"]["generation"],
    }
    path = workspace.root / ORIGIN_NAME
    path.write_bytes(orjson.dumps(origin, option=orjson.OPT_INDENT_2) + b"\n")
