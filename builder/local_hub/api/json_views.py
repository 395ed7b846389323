"""Describe repositories, files and folders in the Hub's JSON."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from builder.local_hub.cards import CARD_PATH, Card, parse_card
from builder.local_hub.storage.blobs import BlobStore, lfs_pointer
from builder.local_hub.storage.history import Commit, last_changes
from builder.local_hub.storage.repos import Repo
from builder.local_hub.storage.trees import Entry, find, walk


def describe_repo(
    connection: sqlite3.Connection,
    blobs: BlobStore,
    repo: Repo,
    commit: Commit,
    *,
    with_files: bool = True,
    with_blobs: bool = False,
) -> dict[str, Any]:
    """A repository at a commit, as `dataset_info` and `list_datasets` show it."""
    card = read_card(connection, blobs, commit)
    description: dict[str, Any] = {
        "_id": repo.opaque_id,
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.oid,
        "createdAt": repo.created_at,
        "lastModified": commit.created_at,
        "private": repo.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": card.tags(),
        "cardData": card.data,
    }
    if repo.kind == "model":
        description["modelId"] = repo.id
    if with_files:
        files = [(p, e) for p, e in walk(connection, commit.tree) if not e.is_folder]
        description["siblings"] = [
            {"rfilename": path, **(_sibling(entry) if with_blobs else {})} for path, entry in files
        ]
        description["usedStorage"] = sum(entry.size for _, entry in files)
    return description


def read_card(connection: sqlite3.Connection, blobs: BlobStore, commit: Commit) -> Card:
    """The card of a commit's README; empty if there is none."""
    readme = find(connection, commit.tree, CARD_PATH)
    if readme is None or readme.sha256 is None:
        return Card()
    return parse_card(blobs.read(readme.sha256).decode("utf-8", "replace"))


def describe_entry(path: str, entry: Entry) -> dict[str, Any]:
    """One line of a folder listing."""
    if entry.is_folder:
        return {"type": "directory", "path": path, "oid": entry.oid, "size": 0}
    line: dict[str, Any] = {
        "type": "file",
        "path": path,
        "oid": entry.oid,
        "size": entry.size,
    }
    if entry.is_lfs and entry.sha256 is not None:
        pointer_size = len(lfs_pointer(entry.sha256, entry.size))
        line["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
    return line


def describe_entries(
    connection: sqlite3.Connection,
    repo: Repo,
    commit: Commit,
    entries: Sequence[tuple[str, Entry]],
    *,
    expand: bool,
) -> list[dict[str, Any]]:
    """Lines of a folder listing, with each path's last commit if `expand`."""
    lines = [describe_entry(path, entry) for path, entry in entries]
    if expand:
        changes = last_changes(connection, repo, commit, [path for path, _ in entries])
        for line in lines:
            change = changes[line["path"]]
            line["lastCommit"] = {
                "id": change.oid,
                "title": change.title,
                "date": change.created_at,
            }
    return lines


def _sibling(entry: Entry) -> dict[str, Any]:
    facts: dict[str, Any] = {"size": entry.size, "blobId": entry.oid}
    if entry.is_lfs and entry.sha256 is not None:
        pointer_size = len(lfs_pointer(entry.sha256, entry.size))
        facts["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
    return facts
