"""Requests about references and history: branches, tags, commits."""

import html
import sqlite3

from starlette.responses import JSONResponse, Response

from builder.local_hub.api.calls import Call, page_of
from builder.local_hub.storage.history import (
    DEFAULT_BRANCH,
    RefKind,
    add_commit,
    branch_head,
    create_ref,
    delete_ref,
    list_refs,
    log,
    move_branch,
    pull_request_refs,
    resolve,
)
from builder.local_hub.storage.repos import Repo


def refs(call: Call) -> Response:
    """GET …/refs: all branches and tags."""
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        answer = {
            "branches": _describe_refs(connection, repo, "heads"),
            "tags": _describe_refs(connection, repo, "tags"),
            "converts": [],
        }
        if call.query.get("include_prs"):
            answer["pullRequests"] = [
                {"name": name, "ref": name, "targetCommit": oid}
                for name, oid in pull_request_refs(connection, repo)
            ]
    return JSONResponse(answer)


def commits(call: Call) -> Response:
    """GET …/commits/{rev}: a revision's history, newest first."""
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        head = resolve(connection, repo, call.params["rev"])
        history = list(log(connection, repo, head.oid))
    formatted = "formatted" in call.query.getlist("expand[]")
    page, headers = page_of(call, history, lambda commit: commit.oid)
    return JSONResponse(
        [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": commit.message,
                "authors": [{"user": commit.author}],
                "date": commit.created_at,
            }
            | (
                {
                    "formatted": {
                        "title": html.escape(commit.title),
                        "message": html.escape(commit.message),
                    }
                }
                if formatted
                else {}
            )
            for commit in page
        ],
        headers=headers,
    )


def create_tag(call: Call) -> Response:
    """POST …/tag/{rev} `{tag, message}`: a new tag; 409 if there is one of that name."""
    request = call.json()
    with call.hub.database.write() as connection:
        repo = call.repo(connection, write=True)
        commit = resolve(connection, repo, call.params["rev"])
        message = str(request.get("message") or "")
        create_ref(connection, repo, "tags", request.get("tag"), commit.oid, message)
    return JSONResponse({})


def delete_tag(call: Call) -> Response:
    """DELETE …/tag/{tag}."""
    with call.hub.database.write() as connection:
        delete_ref(connection, call.repo(connection, write=True), "tags", call.params["rev"])
    return JSONResponse({})


def create_branch(call: Call) -> Response:
    """POST …/branch/{branch} `{startingPoint}`: a new branch, by default from `main`."""
    request = call.json() if call.body else {}
    with call.hub.database.write() as connection:
        repo = call.repo(connection, write=True)
        start = resolve(connection, repo, str(request.get("startingPoint") or DEFAULT_BRANCH))
        create_ref(connection, repo, "heads", call.params["branch"], start.oid)
    return JSONResponse({})


def delete_branch(call: Call) -> Response:
    """DELETE …/branch/{branch}."""
    with call.hub.database.write() as connection:
        delete_ref(connection, call.repo(connection, write=True), "heads", call.params["branch"])
    return JSONResponse({})


def super_squash(call: Call) -> Response:
    """POST …/super-squash/{branch} `{message}`: one commit in place of a branch's history."""
    request = call.json()
    with call.hub.database.write() as connection:
        repo = call.repo(connection, write=True)
        name, head = branch_head(connection, repo, call.params["branch"])
        assert call.account is not None
        commit = add_commit(
            connection,
            repo,
            parent=None,
            tree=head.tree,
            author=call.account.user,
            title=str(request.get("message") or f"Super-squash branch '{name}'"),
        )
        move_branch(connection, repo, name, commit.oid)
    return JSONResponse({})


def _describe_refs(
    connection: sqlite3.Connection, repo: Repo, kind: RefKind
) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid}
        for name, oid in list_refs(connection, repo, kind)
    ]
