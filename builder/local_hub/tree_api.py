"""Requests about files and folders, and which way a new file should be sent."""

from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response

from builder.local_hub.calls import Call
from builder.local_hub.describe import describe_entries
from builder.local_hub.errors import bad_request, entry_not_found
from builder.local_hub.history import resolve
from builder.local_hub.names import check_path
from builder.local_hub.pagination import page_of
from builder.local_hub.trees import find, walk
from builder.local_hub.upload_modes import is_lfs_file

MAX_PATHS = 1000


def tree(call: Call) -> Response:
    """GET …/tree/{rev}[/{path}]?recursive&expand: what a folder holds."""
    path = call.params.get("path", "").strip("/")
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        commit = resolve(connection, repo, call.params["rev"])
        folder = find(connection, commit.tree, path)
        if folder is None or not folder.is_folder:
            raise entry_not_found(path, commit.oid)
        recursive = _is_true(call.query.get("recursive"))
        entries = list(walk(connection, folder.oid, path, recursive=recursive))
        page, headers = page_of(call, entries, lambda item: item[0])
        expand = _is_true(call.query.get("expand"))
        lines = describe_entries(connection, repo, commit, page, expand=expand)
    return JSONResponse(lines, headers={**headers, "X-Repo-Commit": commit.oid})


def paths_info(call: Call) -> Response:
    """POST …/paths-info/{rev} `paths=…`: these files and folders, absent ones left out."""
    if call.headers.get("content-type", "").startswith("application/json"):
        request = call.json()
        paths, expand = request.get("paths", []), bool(request.get("expand"))
    else:
        form = parse_qs(call.body.decode("utf-8", "replace"))
        paths, expand = form.get("paths", []), _is_true(form.get("expand", [""])[-1])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise bad_request('"paths" must be a list of strings')
    if len(paths) > MAX_PATHS:
        raise bad_request(f"At most {MAX_PATHS} paths in one request; got {len(paths)}")
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        commit = resolve(connection, repo, call.params["rev"])
        found = ((path, find(connection, commit.tree, path)) for path in map(_clean, paths) if path)
        entries = [(path, entry) for path, entry in found if entry is not None]
        return JSONResponse(describe_entries(connection, repo, commit, entries, expand=expand))


def preupload(call: Call) -> Response:
    """POST …/preupload/{rev}: for each file LFS or not, and the hash of the one that is there.

    The client leaves out of its commit what has the same hash already. `.gitignore` rules are
    not applied: nothing is ever ignored.
    """
    files = call.json().get("files")
    if not isinstance(files, list):
        raise bad_request('"files" must be a list')
    answer: list[dict[str, object]] = []
    with call.hub.database.read() as connection:
        repo = call.repo(connection, write=True)
        commit = resolve(connection, repo, call.params["rev"])
        for file in files:
            if not isinstance(file, dict) or not isinstance(size := file.get("size"), int):
                raise bad_request('each of "files" needs "path", "size" and "sample"')
            path = check_path(file.get("path"))
            sample = str(file.get("sample", ""))
            lfs = is_lfs_file(path, size, sample, call.hub.limits.lfs_above_bytes)
            line: dict[str, object] = {
                "path": path,
                "uploadMode": "lfs" if lfs else "regular",
                "shouldIgnore": False,
            }
            entry = find(connection, commit.tree, path)
            if entry is not None and not entry.is_folder and entry.is_lfs == lfs:
                line["oid"] = entry.sha256 if lfs else entry.oid
            answer.append(line)
    return JSONResponse({"files": answer})


def _clean(path: str) -> str:
    return path.strip("/")


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in ("true", "1")
