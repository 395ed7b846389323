"""Remembers in a workspace where its versions are published, and which one came last."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import orjson

from builder.disk import sync
from builder.workspace import Workspace

_NAME = "published.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """The version that a repository had when this workspace last met it."""

    repo_id: str
    endpoint: str
    version: str
    manifest_sha256: str


def read_publications(workspace: Workspace) -> list[Publication]:
    """One entry per repository, the one met last at the end; empty if nothing is published."""
    path = workspace.root / _NAME
    try:
        entries = orjson.loads(path.read_bytes())
        return [Publication(**entry) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, orjson.JSONDecodeError, TypeError):
        _log.warning("%s: unreadable, so it counts as empty. The next publication renews it.", path)
        return []


def note_publication(workspace: Workspace, publication: Publication) -> None:
    """Notes a version of a repository, in place of an earlier one."""
    place = (publication.repo_id, publication.endpoint)
    others = [
        entry for entry in read_publications(workspace) if (entry.repo_id, entry.endpoint) != place
    ]
    entries = [asdict(entry) for entry in (*others, publication)]
    content = orjson.dumps(entries, option=orjson.OPT_INDENT_2) + b"\n"
    path = workspace.root / _NAME
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{_NAME}-", delete=False) as file:
            file.write(content)
        sync(Path(file.name))
        Path(file.name).replace(path)
    except OSError as exc:
        # The version is published all the same.
        _log.warning("%s: could not be written (%s).", path, exc.strerror)
