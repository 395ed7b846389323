"""Requests about accounts and whole repositories: make, move, show, delete."""

from typing import Any

from starlette.responses import JSONResponse, Response

from builder.local_hub.api.calls import Call, requested_limit
from builder.local_hub.api.json_views import describe_repo
from builder.local_hub.api.lfs import GIT_ATTRIBUTES
from builder.local_hub.cards import parse_card
from builder.local_hub.errors import HubError, bad_request, sign_in_needed
from builder.local_hub.storage.blobs import git_blob_oid
from builder.local_hub.storage.history import DEFAULT_BRANCH, add_commit, move_branch, resolve
from builder.local_hub.storage.names import check_repo_name
from builder.local_hub.storage.repos import (
    RepoKind,
    check_may_write,
    create_repo,
    delete_repo,
    list_repos,
    move_repo,
    open_repo,
    parse_kind,
    set_private,
)
from builder.local_hub.storage.trees import EMPTY_TREE, Entry, TreeEdit


def whoami(call: Call) -> Response:
    """GET /api/whoami-v2: the account behind the token."""
    account = call.account
    if account is None:
        raise sign_in_needed()
    return JSONResponse(
        {
            "type": "user",
            "id": account.user,
            "name": account.user,
            "fullname": account.user,
            "isPro": False,
            "orgs": [{"type": "org", "name": name} for name in account.organizations],
            "auth": {
                "type": "access_token",
                "accessToken": {"displayName": "local", "role": account.role},
            },
        }
    )


def validate_yaml(call: Call) -> Response:
    """POST /api/validate-yaml: what is wrong with a README's metadata, 400 if anything is."""
    content = call.json().get("content")
    if not isinstance(content, str):
        raise bad_request('"content" must be the text of the README')
    card = parse_card(content)
    answer = {
        "errors": [{"message": message} for message in card.errors],
        "warnings": [{"message": message} for message in card.warnings],
    }
    return JSONResponse(answer, status_code=400 if card.errors else 200)


def create(call: Call) -> Response:
    """POST /api/repos/create: a repository with a first commit, as on the Hub."""
    request = call.json()
    kind, namespace, name = _addressed(call, request)
    check_may_write(call.account, namespace)
    private = request.get("visibility") == "private" or request.get("private") is True
    attributes = call.hub.blobs.add(GIT_ATTRIBUTES)
    try:
        with call.hub.database.write() as connection:
            repo = create_repo(connection, kind, namespace, name, private=private)
            connection.execute("INSERT INTO repo_blobs VALUES (?, ?)", (repo.row_id, attributes))
            edit = TreeEdit(connection, EMPTY_TREE)
            oid = git_blob_oid(GIT_ATTRIBUTES)
            edit.put(".gitattributes", Entry(oid, len(GIT_ATTRIBUTES), attributes))
            commit = add_commit(
                connection,
                repo,
                parent=None,
                tree=edit.write(),
                author=namespace,
                title="initial commit",
            )
            move_branch(connection, repo, DEFAULT_BRANCH, commit.oid)
    except HubError as error:
        if error.status != 409:
            raise
        response = {"error": error.message, "url": _web_url(call, kind, namespace, name)}
        return JSONResponse(response, status_code=409)
    return JSONResponse({"url": f"{call.origin}/{repo.web_path}", "name": repo.id})


def delete(call: Call) -> Response:
    """DELETE /api/repos/delete: its contents are deleted at the next start."""
    kind, namespace, name = _addressed(call, call.json())
    with call.hub.database.write() as connection:
        repo = open_repo(connection, kind, namespace, name, call.account, write=True)
        delete_repo(connection, repo)
    return JSONResponse({})


def move(call: Call) -> Response:
    """POST /api/repos/move: rename, without leaving a redirect."""
    request = call.json()
    kind = parse_kind(request.get("type"))
    source, target = (str(request.get(key)).split("/") for key in ("fromRepo", "toRepo"))
    if len(source) != 2 or len(target) != 2:
        raise bad_request('"fromRepo" and "toRepo" must be "namespace/name"')
    check_may_write(call.account, target[0])
    with call.hub.database.write() as connection:
        repo = open_repo(connection, kind, source[0], source[1], call.account, write=True)
        move_repo(connection, repo, target[0], target[1])
    return JSONResponse({})


def settings(call: Call) -> Response:
    """PUT …/settings: public or private."""
    request = call.json()
    visibility = request.get("visibility", "private" if request.get("private") else "public")
    if visibility not in ("public", "private"):
        raise bad_request('"visibility" must be "public" or "private"')
    if request.get("gated"):
        raise bad_request("This Hub has no gated repositories")
    with call.hub.database.write() as connection:
        set_private(connection, call.repo(connection, write=True), visibility == "private")
    return JSONResponse({"visibility": visibility})


def info(call: Call) -> Response:
    """GET …/{id}[/revision/{rev}]: the repository at a revision."""
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        commit = resolve(connection, repo, call.params.get("rev", DEFAULT_BRANCH))
        with_blobs = call.query.get("blobs", "").lower() in ("true", "1")
        blobs = call.hub.blobs
        return JSONResponse(describe_repo(connection, blobs, repo, commit, with_blobs=with_blobs))


def list_all(call: Call) -> Response:
    """GET /api/{datasets|models}?author=&search=&filter=&limit=: those the account may read."""
    author = call.query.get("author")
    words = [word.lower() for word in call.query.getlist("search")]
    filters = set(call.query.getlist("filter"))
    with_files = call.query.get("full", "").lower() in ("true", "1")
    found: list[dict[str, Any]] = []
    with call.hub.database.read() as connection:
        for repo in list_repos(connection, call.kind, call.account):
            if author not in (None, repo.namespace):
                continue
            if not all(word in repo.id.lower() for word in words):
                continue
            commit = resolve(connection, repo, DEFAULT_BRANCH)
            description = describe_repo(
                connection, call.hub.blobs, repo, commit, with_files=with_files
            )
            if filters <= {*description["tags"]}:
                found.append(description)
    sort = call.query.get("sort")
    if sort in ("lastModified", "createdAt"):
        found.sort(key=lambda description: description[sort], reverse=True)
    return JSONResponse(found[: requested_limit(call)])


def auth_check(call: Call) -> Response:
    """GET …/auth-check[/write]: whether the account may read, or change."""
    with call.hub.database.read() as connection:
        call.repo(connection, write="write" in call.params)
    return JSONResponse({})


def _addressed(call: Call, request: dict[str, Any]) -> tuple[RepoKind, str, str]:
    """The repository named in a body; without an organisation it is the user's own."""
    if call.account is None:
        raise sign_in_needed()
    kind = parse_kind(request.get("type"))
    namespace = request.get("organization") or call.account.user
    return kind, str(namespace), check_repo_name(request.get("name"))


def _web_url(call: Call, kind: RepoKind, namespace: str, name: str) -> str:
    prefix = "datasets/" if kind == "dataset" else ""
    return f"{call.origin}/{prefix}{namespace}/{name}"


def refuse_lfs_files(call: Call) -> Response:
    """Any request about …/lfs-files: 501, since an empty list would mean that there are none."""
    _check_visible(call)
    raise HubError(
        501,
        "This Hub neither lists nor deletes LFS files: list the tree of a revision; contents that "
        "no repository refers to are deleted at the next start",
    )


def _check_visible(call: Call) -> None:
    """Refuses requests about a repository that must look absent."""
    with call.hub.database.read() as connection:
        call.repo(connection)
