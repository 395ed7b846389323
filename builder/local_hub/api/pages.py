"""Two plain pages for a browser: the repositories, and one repository's files and tags."""

from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from builder.local_hub.api.calls import Call
from builder.local_hub.storage.discussions import DiscussionEvent, events_of, find_discussion
from builder.local_hub.storage.history import DEFAULT_BRANCH, list_refs, resolve
from builder.local_hub.storage.repos import REPO_KINDS, list_repos
from builder.local_hub.storage.trees import walk

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}"
    "td{padding:0 1em 0 0}"
)
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_NOTICE = "A small Hub for one machine; not for production."


def index(call: Call) -> Response:
    """GET /: the repositories that may be read; without a token, the public ones."""
    lines: list[str] = []
    with call.hub.database.read() as connection:
        for kind in REPO_KINDS:
            for repo in list_repos(connection, kind, call.account):
                changed = resolve(connection, repo, DEFAULT_BRANCH).created_at
                link = f'<a href="/{quote(repo.web_path)}">{escape(repo.id)}</a>'
                lines.append(f"<tr><td>{link}<td>{kind}<td>{escape(changed)}")
    body = f"<table>{''.join(lines)}</table>" if lines else "<p>No public repository yet."
    return _page("Repositories", body)


def repository(call: Call) -> Response:
    """GET /datasets/{id}: the files of the main branch, and the tags."""
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        commit = resolve(connection, repo, DEFAULT_BRANCH)
        tags = list_refs(connection, repo, "tags")
        files = [(p, e.size) for p, e in walk(connection, commit.tree) if not e.is_folder]
    rows = "".join(
        f'<tr><td><a href="/{quote(f"{repo.web_path}/resolve/{DEFAULT_BRANCH}/{path}")}">'
        f"{escape(path)}</a><td>{size:,} bytes"
        for path, size in files
    )
    names = ", ".join(f"{escape(name)} ({oid[:7]})" for name, oid in tags) or "none"
    head = f"<p>{escape(commit.title)} ({commit.oid[:7]}, {commit.created_at})<p>Tags: {names}"
    return _page(repo.id, f"{head}<table>{rows}</table>")


def discussion(call: Call) -> Response:
    """GET /datasets/{id}/discussions/{num}: a discussion or pull request, and what happened."""
    number = call.params["num"]
    is_number = number.isdecimal() and len(number) < 10
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        found = find_discussion(connection, repo, int(number) if is_number else 0)
        events = list(events_of(connection, repo, found))
    what = "Pull request" if found.is_pull_request else "Discussion"
    head = (
        f"<p>{what} {found.number} of {escape(repo.id)} by {escape(found.author)}: {found.status}"
    )
    rows = "".join(
        f"<tr><td>{escape(event.created_at)}<td>{escape(event.author)}<td>{escape(_said(event))}"
        for event in events
    )
    return _page(found.title, f"{head}<table>{rows}</table>")


def _said(event: DiscussionEvent) -> str:
    if event.type == "comment":
        return event.data["latest"]["raw"]
    if event.type == "commit":
        return f"commit {event.data['oid'][:7]}: {event.data['subject']}"
    if event.type == "title-change":
        return f"title: {event.data['to']}"
    return f"status: {event.data['status']}"


def _page(title: str, body: str) -> Response:
    head = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>'
    content = f"{head}<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}<p><em>{_NOTICE}</em>"
    return HTMLResponse(content, headers=_HEADERS)
