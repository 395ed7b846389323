"""Requests about files and folders, and whether a new file goes through LFS."""

from mimetypes import guess_type
from pathlib import PurePosixPath
from urllib.parse import parse_qs

from starlette.responses import FileResponse, JSONResponse, Response

from builder.local_hub.api.calls import Call, page_of
from builder.local_hub.api.json_views import describe_entries
from builder.local_hub.api.lfs import is_lfs_file
from builder.local_hub.errors import bad_request, entry_not_found
from builder.local_hub.storage.blobs import CHUNK_BYTES
from builder.local_hub.storage.history import resolve
from builder.local_hub.storage.names import check_path
from builder.local_hub.storage.trees import find, walk

MAX_PATHS = 1000


def tree(call: Call) -> Response:
    """GET …/tree/{rev}[/{path}]?recursive&expand: the entries of a folder."""
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
    """POST …/paths-info/{rev} `paths=…`: these files and folders, without absent ones."""
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
    """POST …/preupload/{rev}: whether each file goes through LFS, and the hash of the existing one.

    The client leaves out of its commit what already has the same hash. `.gitignore` rules are
    not applied: nothing is ever ignored.
    """
    files = call.json().get("files")
    if not isinstance(files, list):
        raise bad_request('"files" must be a list')
    answer: list[dict[str, object]] = []
    with call.hub.database.read() as connection:
        repo = call.repo(connection, write=not call.is_proposal, propose=call.is_proposal)
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


class BlobResponse(FileResponse):
    """A stored content, read in chunks of a mebibyte."""

    chunk_size = CHUNK_BYTES


def resolve_file(call: Call) -> Response:
    """HEAD and GET /…/resolve/{rev}/{path}: the file, without a redirect.

    huggingface.co redirects LFS files to a storage host. Clients follow a redirect to the
    same host but lose the headers of the first response, so here all of them come with
    the content: `X-Repo-Commit`, and an `ETag` that is the SHA-256 of an LFS file or the git
    hash of another. No `X-Xet-Hash`: a client then downloads by plain HTTP.
    """
    path = call.params["path"]
    with call.hub.database.read() as connection:
        repo = call.repo(connection)
        commit = resolve(connection, repo, call.params["rev"])
        entry = find(connection, commit.tree, path)
    if entry is None or entry.sha256 is None:
        raise entry_not_found(path, commit.oid)
    etag = f'"{entry.sha256 if entry.is_lfs else entry.oid}"'
    headers = {
        "ETag": etag,
        "X-Repo-Commit": commit.oid,
        "X-Linked-Etag": etag,
        "X-Linked-Size": str(entry.size),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
    }
    return BlobResponse(
        call.hub.blobs.path(entry.sha256),
        headers=headers,
        media_type=guess_type(path)[0] or "application/octet-stream",
        filename=PurePosixPath(path).name,
        content_disposition_type="attachment" if "download" in call.query else "inline",
    )
