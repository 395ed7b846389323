"""The workspace: one directory that holds a build's images, ledger, reviews and releases."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from builder.disk import lock_file
from schemas.errors import PolysceneError

#: Increased whenever the files of a workspace change their format.
WORKSPACE_VERSION = 1
_MARKER = "workspace.json"


class WorkspaceError(PolysceneError):
    """A workspace is missing, of another version, or in use."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths inside a workspace; `open_workspace` makes or checks one."""

    root: Path

    @property
    def config_path(self) -> Path:
        return self.root / "config.yaml"

    @property
    def images_dir(self) -> Path:
        return self.root / "images"

    @property
    def ledger_path(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def reviews_path(self) -> Path:
        """Review events as JSON Lines, as the curation app exports them."""
        return self.root / "reviews.jsonl"

    @property
    def review_store_path(self) -> Path:
        """Where the curation app keeps the reviews of this workspace's releases."""
        return self.root / "reviews.sqlite"

    @property
    def releases_dir(self) -> Path:
        return self.root / "releases"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the workspace for writing; the lock ends with the process at the latest.

        Raises:
            WorkspaceError: Another process is writing.
        """
        in_use = WorkspaceError(
            f"{self.root}: another process is writing here. Wait for it, or stop it."
        )
        with lock_file(self.root / ".lock", in_use):
            yield


def open_workspace(root: Path, *, create: bool = False) -> Workspace:
    """Opens a workspace; makes a new one first if `create`.

    Raises:
        WorkspaceError: There is no workspace, or one of another version.
    """
    marker = root / _MARKER
    if not marker.exists():
        if not create:
            raise WorkspaceError(
                f"{root}: not a workspace. Make one with "
                "`python -m builder images add DIR --workspace WORKSPACE`."
            )
        try:
            root.mkdir(parents=True, exist_ok=True)
            temporary = marker.with_suffix(".part")
            temporary.write_bytes(orjson.dumps({"workspace_version": WORKSPACE_VERSION}) + b"\n")
            temporary.replace(marker)
        except OSError as exc:
            raise WorkspaceError(f"{root}: cannot make a workspace: {exc.strerror}.") from exc
    try:
        found = orjson.loads(marker.read_bytes())["workspace_version"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise WorkspaceError(
            f"{marker}: unreadable. Restore it from a backup, or start a new workspace."
        ) from exc
    if found != WORKSPACE_VERSION:
        raise WorkspaceError(
            f"{marker}: workspace version {found}, this program reads {WORKSPACE_VERSION}. "
            "Use the release of polyscene that made it, or start a new workspace."
        )
    return Workspace(root)
