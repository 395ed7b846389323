"""Downloads: a file at a revision, whole or in ranges."""

from mimetypes import guess_type
from pathlib import PurePosixPath

from starlette.responses import FileResponse, Response

from builder.local_hub.blobs import CHUNK_BYTES
from builder.local_hub.calls import Call
from builder.local_hub.errors import entry_not_found
from builder.local_hub.history import resolve
from builder.local_hub.trees import find


class BlobResponse(FileResponse):
    """A stored content, read in chunks of a mebibyte."""

    chunk_size = CHUNK_BYTES


def resolve_file(call: Call) -> Response:
    """HEAD and GET /…/resolve/{rev}/{path}: the file, without a redirect.

    huggingface.co redirects LFS files to a storage host. Clients follow a redirect to the
    same host without keeping the headers of the first answer, so here all of them come with
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
