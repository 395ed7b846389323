"""Commits, branches and tags of a repository."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from builder.local_hub.errors import bad_request, conflict, forbidden, revision_not_found
from builder.local_hub.storage.database import utc_now
from builder.local_hub.storage.names import check_ref_name, is_commit_oid
from builder.local_hub.storage.repos import Repo
from builder.local_hub.storage.trees import find

RefKind = Literal["heads", "tags"]
DEFAULT_BRANCH = "main"
_PULL_REQUEST = "refs/pr/"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; `tree` is the hash of its root folder, `parent` is `None` for the first."""

    oid: str
    parent: str | None
    tree: str
    author: str
    title: str
    message: str
    created_at: str


def resolve(connection: sqlite3.Connection, repo: Repo, revision: str) -> Commit:
    """The commit that a hash, branch, tag, full reference name or `refs/pr/N` stands for.

    Raises:
        HubError: 404 `RevisionNotFound`.
    """
    oid = revision if is_commit_oid(revision) else None
    for kind in ("heads", "tags"):
        short = revision.removeprefix(f"refs/{kind}/")
        oid = oid or read_ref(connection, repo, kind, short)
    oid = oid or dict(pull_request_refs(connection, repo)).get(revision)
    row = connection.execute(
        "SELECT * FROM commits WHERE repo_id = ? AND oid = ?", (repo.row_id, oid)
    ).fetchone()
    if row is None:
        raise revision_not_found(revision)
    return _commit(row)


def read_ref(connection: sqlite3.Connection, repo: Repo, kind: RefKind, name: str) -> str | None:
    """The commit hash that a branch or tag points at, `None` if it does not exist."""
    row = connection.execute(
        "SELECT oid FROM refs WHERE repo_id = ? AND kind = ? AND name = ?",
        (repo.row_id, kind, name),
    ).fetchone()
    return row["oid"] if row else None


def list_refs(connection: sqlite3.Connection, repo: Repo, kind: RefKind) -> list[tuple[str, str]]:
    """Names and commit hashes of all branches or tags."""
    rows = connection.execute(
        "SELECT name, oid FROM refs WHERE repo_id = ? AND kind = ? ORDER BY name",
        (repo.row_id, kind),
    )
    return [(row["name"], row["oid"]) for row in rows]


def pull_request_ref(number: int) -> str:
    """`refs/pr/N`: the name of a pull request's last commit."""
    return f"{_PULL_REQUEST}{number}"


def pull_request_refs(connection: sqlite3.Connection, repo: Repo) -> list[tuple[str, str]]:
    """Names and commit hashes of all pull requests, merged and closed ones included."""
    rows = connection.execute(
        "SELECT num, head FROM discussions WHERE repo_id = ? AND head IS NOT NULL ORDER BY num",
        (repo.row_id,),
    )
    return [(pull_request_ref(row["num"]), row["head"]) for row in rows]


def create_ref(
    connection: sqlite3.Connection,
    repo: Repo,
    kind: RefKind,
    name: object,
    oid: str,
    message: str = "",
) -> None:
    """A new branch or tag.

    Raises:
        HubError: 400 for a forbidden name, 409 if it exists.
    """
    name = check_ref_name(name)
    if read_ref(connection, repo, kind, name) is not None:
        what = "Tag" if kind == "tags" else "Branch"
        raise conflict(f"{what} {name} already exists")
    connection.execute(
        "INSERT INTO refs VALUES (?, ?, ?, ?, ?)", (repo.row_id, kind, name, oid, message)
    )


def delete_ref(connection: sqlite3.Connection, repo: Repo, kind: RefKind, name: str) -> None:
    """Removes a branch or tag; its commits stay.

    Raises:
        HubError: 403 for the default branch, 404 if it does not exist.
    """
    if kind == "heads" and name == DEFAULT_BRANCH:
        raise forbidden(f"The branch {DEFAULT_BRANCH} cannot be deleted")
    cursor = connection.execute(
        "DELETE FROM refs WHERE repo_id = ? AND kind = ? AND name = ?", (repo.row_id, kind, name)
    )
    if cursor.rowcount == 0:
        raise revision_not_found(name)


def move_branch(connection: sqlite3.Connection, repo: Repo, name: str, oid: str) -> None:
    """Points a branch or pull request at another commit; makes the branch if it is new."""
    if name.startswith(_PULL_REQUEST):
        connection.execute(
            "UPDATE discussions SET head = ? WHERE repo_id = ? AND num = ?",
            (oid, repo.row_id, int(name.removeprefix(_PULL_REQUEST))),
        )
        return
    connection.execute(
        "INSERT INTO refs VALUES (?, 'heads', ?, ?, '') "
        "ON CONFLICT DO UPDATE SET oid = excluded.oid",
        (repo.row_id, name, oid),
    )


def branch_head(connection: sqlite3.Connection, repo: Repo, revision: str) -> tuple[str, Commit]:
    """The name and last commit of the branch or pull request that a commit request addresses.

    Raises:
        HubError: 404 if there is no such revision, 400 if it is not a branch.
    """
    name = revision.removeprefix("refs/heads/")
    commit = resolve(connection, repo, revision)
    if name.startswith(_PULL_REQUEST):
        return name, commit
    if read_ref(connection, repo, "heads", name) is None:
        raise bad_request(f"Commits go to a branch; {revision} is not one")
    return name, commit


def add_commit(
    connection: sqlite3.Connection,
    repo: Repo,
    *,
    parent: str | None,
    tree: str,
    author: str,
    title: str,
    message: str = "",
) -> Commit:
    """Records a commit without moving a branch."""
    created_at = utc_now()
    body = _commit_body(parent, tree, author, created_at, title, message)
    oid = hashlib.sha1(b"commit %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
    commit = Commit(oid, parent, tree, author, title, message, created_at)
    connection.execute(
        "INSERT OR IGNORE INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (repo.row_id, oid, parent, tree, author, title, message, created_at),
    )
    return commit


def log(connection: sqlite3.Connection, repo: Repo, start: str) -> Iterator[Commit]:
    """A commit and its ancestors, newest first."""
    oid: str | None = start
    while oid is not None:
        row = connection.execute(
            "SELECT * FROM commits WHERE repo_id = ? AND oid = ?", (repo.row_id, oid)
        ).fetchone()
        assert row is not None, "a commit's parent is recorded before it"
        commit = _commit(row)
        yield commit
        oid = commit.parent


def last_changes(
    connection: sqlite3.Connection, repo: Repo, commit: Commit, paths: Sequence[str]
) -> dict[str, Commit]:
    """For each path the last commit that changed it."""
    changes: dict[str, Commit] = {}
    newer: Commit | None = None
    for older in log(connection, repo, commit.oid):
        if newer is not None and newer.tree != older.tree:
            for path in paths:
                if path not in changes and find(connection, newer.tree, path) != find(
                    connection, older.tree, path
                ):
                    changes[path] = newer
        newer = older
        if len(changes) == len(paths):
            break
    assert newer is not None
    return {path: changes.get(path, newer) for path in paths}


def _commit_body(
    parent: str | None, tree: str, author: str, created_at: str, title: str, message: str
) -> bytes:
    seconds = int(datetime.fromisoformat(created_at).timestamp())
    signature = f"{author} <{author}@localhost> {seconds} +0000"
    lines = [f"tree {tree}"]
    lines += [f"parent {parent}"] if parent else []
    lines += [f"author {signature}", f"committer {signature}", "", title]
    lines += ["", message] if message else []
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _commit(row: sqlite3.Row) -> Commit:
    return Commit(
        row["oid"],
        row["parent"],
        row["tree"],
        row["author"],
        row["title"],
        row["message"],
        row["created_at"],
    )
