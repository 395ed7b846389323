"""Requests about discussions and pull requests: list, open, comment, close, merge."""

import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from builder.local_hub.api.calls import Call
from builder.local_hub.errors import HubError, bad_request, forbidden
from builder.local_hub.storage.discussions import (
    Discussion,
    DiscussionEvent,
    add_comment,
    conflicts_of,
    events_of,
    find_discussion,
    list_discussions,
    merge_pull_request,
    open_discussion,
    set_status,
    set_title,
)
from builder.local_hub.storage.history import DEFAULT_BRANCH, branch_head
from builder.local_hub.storage.repos import Repo

_STATUSES = {"open": ("open", "draft"), "closed": ("closed", "merged")}
_KINDS = {"pull_request": True, "discussion": False}


def list_all(call: Call) -> Response:
    """GET …/discussions?type=&status=&author=&p=: one page of them, the newest first."""
    kind, status = call.query.get("type"), call.query.get("status")
    author, page = call.query.get("author"), call.query.get("p", "0")
    size = call.hub.limits.page_entries
    start = size * int(page[:9]) if page.isdecimal() else 0
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        found = [
            discussion
            for discussion in list_discussions(connection, repo)
            if (kind not in _KINDS or discussion.is_pull_request == _KINDS[kind])
            and (status not in _STATUSES or discussion.status in _STATUSES[status])
            and author in (None, discussion.author)
        ]
    shown = [_describe(repo, discussion) for discussion in found[start : start + size]]
    return JSONResponse({"discussions": shown, "count": len(found), "start": start})


def create(call: Call) -> Response:
    """POST …/discussions `{title, description, pullRequest}`: a pull request begins as a draft."""
    request = call.json()
    with call.hub.database.write() as connection:
        repo = call.repo(connection, propose=True)
        is_pull_request = bool(request.get("pullRequest"))
        base = branch_head(connection, repo, DEFAULT_BRANCH)[1].oid if is_pull_request else None
        discussion = open_discussion(
            connection,
            repo,
            call.user,
            request.get("title"),
            str(request.get("description") or ""),
            base=base,
            status="draft" if is_pull_request else "open",
        )
    return JSONResponse({"num": discussion.number, "url": page_address(call, repo, discussion)})


def details(call: Call) -> Response:
    """GET …/discussions/{num}: a discussion with everything that happened in it."""
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        discussion = _found(call, connection, repo)
        answer = _describe(repo, discussion)
        events = events_of(connection, repo, discussion)
        answer["events"] = [_describe_event(event) for event in events]
        if discussion.is_pull_request:
            is_open = discussion.status in ("open", "draft")
            answer["filesWithConflicts"] = (
                conflicts_of(connection, repo, discussion) if is_open else []
            )
            answer["changes"] = {"base": f"refs/heads/{DEFAULT_BRANCH}"} | (
                {"mergeCommitId": discussion.merged} if discussion.merged else {}
            )
    return JSONResponse(answer)


def comment(call: Call) -> Response:
    """POST …/discussions/{num}/comment `{comment}`."""
    text = call.json().get("comment")
    with call.hub.database.write() as connection:
        repo = call.repo(connection, propose=True)
        discussion = _found(call, connection, repo)
        event = add_comment(connection, repo, discussion.number, call.user, text)
    return JSONResponse({"newMessage": _describe_event(event)})


def change_status(call: Call) -> Response:
    """POST …/discussions/{num}/status `{status, comment}`: opens or closes it."""
    request = call.json()
    status = request.get("status")
    if status not in ("open", "closed"):
        raise bad_request('"status" must be "open" or "closed"')
    with call.hub.database.write() as connection:
        repo, discussion = _own(call, connection)
        if discussion.status == "merged":
            raise bad_request(f"Pull request {discussion.number} is merged, so it stays closed")
        if request.get("comment"):
            add_comment(connection, repo, discussion.number, call.user, request["comment"])
        event = set_status(connection, repo, discussion.number, call.user, status)
    return JSONResponse({"newStatus": _describe_event(event)})


def rename(call: Call) -> Response:
    """POST …/discussions/{num}/title `{title}`."""
    title = call.json().get("title")
    with call.hub.database.write() as connection:
        repo, discussion = _own(call, connection)
        event = set_title(connection, repo, discussion, call.user, title)
    return JSONResponse({"newTitle": _describe_event(event)})


def merge(call: Call) -> Response:
    """POST …/discussions/{num}/merge `{comment}`: 409 if main has changed the same files."""
    request = call.json() if call.body not in (b"", b"null") else {}
    text = str(request.get("comment") or "")
    with call.hub.database.write() as connection:
        repo = call.repo(connection, write=True)
        discussion = _found(call, connection, repo)
        commit = merge_pull_request(connection, repo, discussion, call.user, text)
    return JSONResponse({"success": True, "mergeCommitId": commit.oid})


def refuse_changed_comment(call: Call) -> Response:
    """POST …/discussions/{num}/comment/{id}/…: 501 for an edited or hidden comment."""
    with call.hub.database.read() as connection:
        call.repo(connection)
    raise HubError(501, "This Hub neither edits nor hides comments: write another one")


def page_address(call: Call, repo: Repo, discussion: Discussion) -> str:
    """The page of a discussion; clients take its number from the end."""
    return f"{call.origin}/{repo.web_path}/discussions/{discussion.number}"


def _own(call: Call, connection: sqlite3.Connection) -> tuple[Repo, Discussion]:
    """A discussion that the account may change: its author's, or in a repository of its own."""
    repo = call.repo(connection, propose=True)
    discussion = _found(call, connection, repo)
    check_may_change(call, repo, discussion)
    return repo, discussion


def check_may_change(call: Call, repo: Repo, discussion: Discussion) -> None:
    """Refuses an account that neither opened a discussion nor owns its repository.

    Raises:
        HubError: 403.
    """
    assert call.account is not None
    if discussion.author != call.user and not call.account.owns(repo.namespace):
        raise forbidden("Only its author and the repository's owner may change a discussion")


def _found(call: Call, connection: sqlite3.Connection, repo: Repo) -> Discussion:
    number = call.params["num"]
    if not number.isdecimal() or len(number) > 9:
        raise bad_request("A discussion is named by its number")
    return find_discussion(connection, repo, int(number))


def _describe(repo: Repo, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.number,
        "title": discussion.title,
        "author": {"name": discussion.author},
        "createdAt": discussion.created_at,
        "status": discussion.status,
        "isPullRequest": discussion.is_pull_request,
        "repo": {"name": repo.id, "type": repo.kind},
    }


def _describe_event(event: DiscussionEvent) -> dict[str, Any]:
    return {
        "id": f"{event.id:024x}",
        "type": event.type,
        "author": {"name": event.author},
        "createdAt": event.created_at,
        "data": event.data,
    }
