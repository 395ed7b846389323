"""The commit request: read its lines, then apply all of them or none."""

import base64
import binascii
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from starlette.responses import JSONResponse, Response

from builder.local_hub.api.calls import Call, parse_json
from builder.local_hub.api.discussions_api import check_may_change, page_address
from builder.local_hub.errors import HubError, bad_request, stale_parent
from builder.local_hub.hub import Limits
from builder.local_hub.storage.blobs import BlobStore, git_blob_oid, lfs_pointer
from builder.local_hub.storage.discussions import (
    MAX_TITLE_CHARS,
    Discussion,
    add_event,
    find_discussion,
    open_discussion,
    ref_of,
)
from builder.local_hub.storage.history import (
    Commit,
    add_commit,
    branch_head,
    move_branch,
    resolve,
)
from builder.local_hub.storage.names import check_path, is_commit_oid, is_sha256
from builder.local_hub.storage.repos import Repo
from builder.local_hub.storage.trees import Entry, TreeEdit


@dataclass(frozen=True, slots=True)
class Put:
    """Add or replace a file; `entry` is `None` for an LFS file until its size is known."""

    path: str
    sha256: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file or a folder."""

    path: str
    folder: bool


@dataclass(slots=True)
class CommitRequest:
    """The operations of a commit, in the client's order."""

    title: str
    message: str
    parent: str | None
    operations: list[Put | Remove] = field(default_factory=list)


def admit_commit(call: Call) -> int:
    """Refuses early if the account may not write; returns the maximum size of the request."""
    with call.hub.database.read() as connection:
        repo = call.repo(connection, write=not call.is_proposal, propose=call.is_proposal)
        _target(call, connection, repo)
    return call.hub.limits.commit_bytes


def commit(call: Call) -> Response:
    """POST …/commit/{rev}: one atomic commit; 412 if the branch has moved on.

    Contents are stored first and the rest is one transaction, so that a killed process
    leaves the old state or the new one. If nothing changes, no commit is made and the
    response names the branch's last commit. With `create_pr` the commit is the first
    of a new pull request, on top of the parent it names, or of the branch.
    """
    assert call.received is not None and call.account is not None
    request = parse_commit(call.received.path, call.hub.blobs, call.hub.limits)
    with call.hub.database.write() as connection:
        repo = call.repo(connection, write=not call.is_proposal, propose=call.is_proposal)
        branch, head = _target(call, connection, repo)
        opens_pull_request = bool(call.query.get("create_pr"))
        if opens_pull_request:
            head = resolve(connection, repo, request.parent or head.oid)
        elif request.parent is not None and request.parent != head.oid:
            raise stale_parent(request.parent, head.oid)
        base = head
        edit = TreeEdit(connection, head.tree)
        for operation in request.operations:
            if isinstance(operation, Remove):
                edit.remove(operation.path, folder=operation.folder)
            else:
                edit.put(operation.path, _entry(connection, call.hub.blobs, repo, operation))
        tree = edit.write()
        if tree != head.tree:
            head = add_commit(
                connection,
                repo,
                parent=head.oid,
                tree=tree,
                author=call.account.user,
                title=request.title,
                message=request.message,
            )
            if not opens_pull_request:
                move_branch(connection, repo, branch, head.oid)
        answer = {
            "success": True,
            "commitOid": head.oid,
            "commitUrl": f"{call.origin}/{repo.web_path}/commit/{head.oid}",
            "hookOutput": "",
        }
        if opens_pull_request:
            discussion = _open_pull_request(call, connection, repo, request, base.oid, head.oid)
            answer["pullRequestUrl"] = page_address(call, repo, discussion)
    return JSONResponse(answer)


def _target(call: Call, connection: sqlite3.Connection, repo: Repo) -> tuple[str, Commit]:
    """The branch or the open pull request that a commit is for, and its last commit."""
    name, head = branch_head(connection, repo, call.params["rev"])
    number = name.removeprefix("refs/pr/")
    if name != number:
        discussion = find_discussion(connection, repo, int(number))
        check_may_change(call, repo, discussion)
        if discussion.status not in ("open", "draft"):
            raise bad_request(f"Pull request {number} is {discussion.status}: open another one")
    return name, head


def _open_pull_request(
    call: Call,
    connection: sqlite3.Connection,
    repo: Repo,
    request: CommitRequest,
    base: str,
    head: str,
) -> Discussion:
    title = request.title[:MAX_TITLE_CHARS]
    discussion = open_discussion(connection, repo, call.user, title, request.message, base=base)
    move_branch(connection, repo, ref_of(discussion), head)
    data = {"subject": request.title, "oid": head}
    add_event(connection, repo, discussion.number, "commit", call.user, data)
    return discussion


def parse_commit(path: Path, blobs: BlobStore, limits: Limits) -> CommitRequest:
    """Reads a commit's JSON lines from a file; contents inside them go into the store.

    Only one line is in memory at a time, and its length is limited.

    Raises:
        HubError: 400 or 413 with the number of the faulty line.
    """
    request: CommitRequest | None = None
    max_line_bytes = 2 * limits.inline_bytes  # base64, and the JSON around it
    for number, raw in enumerate(_lines(path, max_line_bytes), start=1):
        try:
            if len(raw) > max_line_bytes:
                raise _too_large_inline(limits.inline_bytes)
            key, value = _parse_line(raw)
            if request is None:
                request = _header(key, value)
                continue
            if len(request.operations) == limits.max_operations:
                raise HubError(413, f"more than {limits.max_operations:,} operations: split it")
            request.operations.append(_operation(key, value, blobs, limits.inline_bytes))
        except HubError as error:
            message = f"Commit request, line {number}: {error.message}"
            raise HubError(error.status, message) from error
    if request is None:
        raise bad_request("The commit request is empty")
    return request


def _lines(path: Path, max_bytes: int) -> Iterator[bytes]:
    """Lines that are not blank, cut one byte above the limit."""
    with path.open("rb") as file:
        while raw := file.readline(max_bytes + 1):
            if raw.strip():
                yield raw


def _parse_line(raw: bytes) -> tuple[str, dict[str, Any]]:
    line = parse_json(raw, "The commit request must have one JSON object per line")
    if not isinstance(line, dict) or not isinstance(line.get("value"), dict):
        raise bad_request('Each line of a commit request needs "key" and "value"')
    return str(line.get("key")), cast(dict[str, Any], line["value"])


def _header(key: str, value: dict[str, Any]) -> CommitRequest:
    if key != "header":
        raise bad_request('the first line must be the "header"')
    title = str(value.get("summary") or "").strip()
    if not title:
        raise bad_request('"summary", the commit message, is empty')
    parent = value.get("parentCommit") or None
    if parent is not None and not is_commit_oid(str(parent)):
        raise bad_request('"parentCommit" must be a full commit hash')
    return CommitRequest(title, str(value.get("description") or ""), parent)


def _operation(
    key: str, value: dict[str, Any], blobs: BlobStore, inline_bytes: int
) -> Put | Remove:
    if key == "file":
        path = check_path(value.get("path"))
        content = _content(value)
        if len(content) > inline_bytes:
            raise _too_large_inline(inline_bytes)
        sha256 = blobs.add(content)
        return Put(path, sha256, Entry(git_blob_oid(content), len(content), sha256))
    if key == "lfsFile":
        sha256 = value.get("oid")
        if value.get("algo", "sha256") != "sha256" or not is_sha256(sha256):
            raise bad_request('"oid" must be a SHA-256 in hex')
        return Put(check_path(value.get("path")), cast(str, sha256), None)
    if key in ("deletedFile", "deletedFolder"):
        path = str(value.get("path") or "").rstrip("/")
        return Remove(check_path(path), folder=key == "deletedFolder")
    raise bad_request(f"unknown operation {key[:50]!r}")


def _content(value: dict[str, Any]) -> bytes:
    content = value.get("content")
    if not isinstance(content, str):
        raise bad_request('"content" must be a string')
    if value.get("encoding") != "base64":
        return content.encode("utf-8", "replace")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request('"content" is not valid base64') from error


def _too_large_inline(inline_bytes: int) -> HubError:
    return HubError(
        413, f"a file inside a commit may have at most {inline_bytes:,} bytes: use LFS for it"
    )


def _entry(connection: sqlite3.Connection, blobs: BlobStore, repo: Repo, put: Put) -> Entry:
    """The entry for a file, after a check in the transaction that its content is stored."""
    if put.entry is not None:
        connection.execute(
            "INSERT OR IGNORE INTO repo_blobs VALUES (?, ?)", (repo.row_id, put.sha256)
        )
        return put.entry
    size = blobs.size(put.sha256)
    known = connection.execute(
        "SELECT 1 FROM repo_blobs WHERE repo_id = ? AND sha256 = ?", (repo.row_id, put.sha256)
    ).fetchone()
    if size is None or known is None:
        raise bad_request(
            f"'{put.path}' points at an LFS content that this repository does not have: "
            f"sha256 {put.sha256}. Upload it first."
        )
    pointer = lfs_pointer(put.sha256, size)
    return Entry(git_blob_oid(pointer), size, put.sha256, is_lfs=True)
