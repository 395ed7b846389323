"""Discussions and pull requests of a repository.

A pull request is a discussion with commits of its own: `refs/pr/N` names its
last one, `base` the commit of the main branch that it was made from.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from builder.local_hub.errors import HubError, bad_request
from builder.local_hub.storage.database import utc_now
from builder.local_hub.storage.history import (
    DEFAULT_BRANCH,
    Commit,
    add_commit,
    branch_head,
    move_branch,
    pull_request_ref,
    resolve,
)
from builder.local_hub.storage.repos import Repo
from builder.local_hub.storage.trees import Entry, TreeEdit, walk

Status = Literal["open", "closed", "merged", "draft"]
EventType = Literal["comment", "status-change", "title-change", "commit"]
MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 65_536


@dataclass(frozen=True, slots=True)
class Discussion:
    """One discussion; `base` and `head` are None unless it is a pull request."""

    number: int
    title: str
    author: str
    status: Status
    created_at: str
    base: str | None
    head: str | None
    merged: str | None

    @property
    def is_pull_request(self) -> bool:
        return self.base is not None


@dataclass(frozen=True, slots=True)
class DiscussionEvent:
    """Something that happened in a discussion; `data` depends on its type."""

    id: int
    type: EventType
    author: str
    created_at: str
    data: dict[str, Any]


def open_discussion(
    connection: sqlite3.Connection,
    repo: Repo,
    author: str,
    title: object,
    text: str,
    *,
    base: str | None = None,
    status: Status = "open",
) -> Discussion:
    """A new discussion; a pull request if it has a base, whose commits are still the base's.

    Raises:
        HubError: 400 for a title that is empty or too long.
    """
    checked = check_title(title)
    row = connection.execute(
        "SELECT coalesce(max(num), 0) + 1 AS num FROM discussions WHERE repo_id = ?",
        (repo.row_id,),
    ).fetchone()
    number: int = row["num"]
    connection.execute(
        "INSERT INTO discussions VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (repo.row_id, number, checked, author, status, utc_now(), base, base),
    )
    add_event(connection, repo, number, "comment", author, _comment(text))
    return find_discussion(connection, repo, number)


def find_discussion(connection: sqlite3.Connection, repo: Repo, number: int) -> Discussion:
    """A discussion by its number.

    Raises:
        HubError: 404 if there is none.
    """
    row = connection.execute(
        "SELECT * FROM discussions WHERE repo_id = ? AND num = ?", (repo.row_id, number)
    ).fetchone()
    if row is None:
        raise HubError(404, f"This repository has no discussion {number}")
    return _discussion(row)


def list_discussions(connection: sqlite3.Connection, repo: Repo) -> list[Discussion]:
    """All discussions, the newest first."""
    rows = connection.execute(
        "SELECT * FROM discussions WHERE repo_id = ? ORDER BY num DESC", (repo.row_id,)
    )
    return [_discussion(row) for row in rows]


def events_of(
    connection: sqlite3.Connection, repo: Repo, discussion: Discussion
) -> Iterator[DiscussionEvent]:
    """What happened in a discussion, in order."""
    rows = connection.execute(
        "SELECT * FROM discussion_events WHERE repo_id = ? AND num = ? ORDER BY id",
        (repo.row_id, discussion.number),
    )
    for row in rows:
        data = json.loads(row["data"])
        yield DiscussionEvent(row["id"], row["type"], row["author"], row["created_at"], data)


def add_event(
    connection: sqlite3.Connection,
    repo: Repo,
    number: int,
    kind: EventType,
    author: str,
    data: dict[str, Any],
) -> DiscussionEvent:
    """Notes something that happened in a discussion."""
    created_at = utc_now()
    cursor = connection.execute(
        "INSERT INTO discussion_events (repo_id, num, type, author, created_at, data) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (repo.row_id, number, kind, author, created_at, json.dumps(data)),
    )
    assert cursor.lastrowid is not None
    return DiscussionEvent(cursor.lastrowid, kind, author, created_at, data)


def add_comment(
    connection: sqlite3.Connection, repo: Repo, number: int, author: str, text: object
) -> DiscussionEvent:
    """A new comment.

    Raises:
        HubError: 400 if it is empty.
    """
    if not isinstance(text, str) or not text.strip():
        raise bad_request('"comment" must be a text that is not empty')
    return add_event(connection, repo, number, "comment", author, _comment(text))


def set_status(
    connection: sqlite3.Connection, repo: Repo, number: int, author: str, status: Status
) -> DiscussionEvent:
    """Opens or closes a discussion."""
    connection.execute(
        "UPDATE discussions SET status = ? WHERE repo_id = ? AND num = ?",
        (status, repo.row_id, number),
    )
    return add_event(connection, repo, number, "status-change", author, {"status": status})


def set_title(
    connection: sqlite3.Connection, repo: Repo, discussion: Discussion, author: str, title: object
) -> DiscussionEvent:
    """Renames a discussion.

    Raises:
        HubError: 400 for a title that is empty or too long.
    """
    checked = check_title(title)
    connection.execute(
        "UPDATE discussions SET title = ? WHERE repo_id = ? AND num = ?",
        (checked, repo.row_id, discussion.number),
    )
    data = {"from": discussion.title, "to": checked}
    return add_event(connection, repo, discussion.number, "title-change", author, data)


def conflicts_of(connection: sqlite3.Connection, repo: Repo, discussion: Discussion) -> list[str]:
    """Paths that both the pull request and the main branch have changed, each in its way."""
    return _merged_tree(connection, repo, discussion)[1]


def merge_pull_request(
    connection: sqlite3.Connection, repo: Repo, discussion: Discussion, author: str, comment: str
) -> Commit:
    """Brings a pull request into the main branch, as one commit.

    Raises:
        HubError: 400 if it is not an open pull request, 409 if it conflicts.
    """
    if not discussion.is_pull_request or discussion.status not in ("open", "draft"):
        raise bad_request(f"Discussion {discussion.number} is not an open pull request")
    edit, conflicts = _merged_tree(connection, repo, discussion)
    if conflicts:
        raise HubError(
            409,
            f"Pull request {discussion.number} conflicts with {DEFAULT_BRANCH} in "
            f"{', '.join(conflicts[:5])}",
        )
    _, main = branch_head(connection, repo, DEFAULT_BRANCH)
    tree = edit.write()
    if tree != main.tree:
        main = add_commit(
            connection,
            repo,
            parent=main.oid,
            tree=tree,
            author=author,
            title=f"{discussion.title} (#{discussion.number})",
            message=comment,
        )
        move_branch(connection, repo, DEFAULT_BRANCH, main.oid)
    connection.execute(
        "UPDATE discussions SET merged = ? WHERE repo_id = ? AND num = ?",
        (main.oid, repo.row_id, discussion.number),
    )
    if comment:
        add_comment(connection, repo, discussion.number, author, comment)
    set_status(connection, repo, discussion.number, author, "merged")
    return main


def check_title(title: object) -> str:
    """A title without spaces around it.

    Raises:
        HubError: 400 if it is empty or too long.
    """
    if not isinstance(title, str) or not 0 < len(title.strip()) <= MAX_TITLE_CHARS:
        raise bad_request(f'"title" must have 1 to {MAX_TITLE_CHARS} characters')
    return title.strip()


def _merged_tree(
    connection: sqlite3.Connection, repo: Repo, discussion: Discussion
) -> tuple[TreeEdit, list[str]]:
    """Main with the pull request's changes, and the paths in which the two conflict."""
    _, main_head = branch_head(connection, repo, DEFAULT_BRANCH)
    base, head = (
        _files(connection, resolve(connection, repo, oid or main_head.oid).tree)
        for oid in (discussion.base, discussion.head)
    )
    main = _files(connection, main_head.tree)
    edit = TreeEdit(connection, main_head.tree)
    conflicts: list[str] = []
    for path in sorted(base.keys() | head.keys()):
        wanted = head.get(path)
        if wanted == base.get(path) or wanted == main.get(path):
            continue
        if main.get(path) != base.get(path):
            conflicts.append(path)
        elif wanted is None:
            edit.remove(path, folder=False)
        else:
            edit.put(path, wanted)
    return edit, conflicts


def _files(connection: sqlite3.Connection, tree: str) -> dict[str, Entry]:
    return {path: entry for path, entry in walk(connection, tree) if not entry.is_folder}


def _comment(text: str) -> dict[str, Any]:
    shown = text[:MAX_TEXT_CHARS]
    return {"edited": False, "hidden": False, "latest": {"raw": shown}}


def _discussion(row: sqlite3.Row) -> Discussion:
    return Discussion(
        row["num"],
        row["title"],
        row["author"],
        row["status"],
        row["created_at"],
        row["base"],
        row["head"],
        row["merged"],
    )


def ref_of(discussion: Discussion) -> str:
    """`refs/pr/N`."""
    return pull_request_ref(discussion.number)
