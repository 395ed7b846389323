"""Large files: upload addresses, for one piece or several, and verification."""

import base64
import binascii
import secrets
from pathlib import Path, PurePosixPath
from typing import Any, cast

from starlette.responses import JSONResponse, Response

from builder.local_hub.api.calls import Call
from builder.local_hub.errors import HubError, bad_request
from builder.local_hub.storage.blobs import CHUNK_BYTES, Received
from builder.local_hub.storage.names import is_sha256
from builder.local_hub.storage.repos import Repo
from builder.local_hub.tickets import Ticket

LFS_JSON = "application/vnd.git-lfs+json"
MAX_OBJECTS = 1000


def batch(call: Call) -> Response:
    """POST /….git/info/lfs/objects/batch: an upload address per content, none if it is stored."""
    request = call.json()
    objects = request.get("objects")
    if request.get("operation", "upload") != "upload":
        raise HubError(501, "LFS on this Hub is for uploads only: download from /resolve/")
    if not isinstance(objects, list) or len(objects) > MAX_OBJECTS:
        raise bad_request(f'"objects" must be a list of at most {MAX_OBJECTS}')
    transfers = request.get("transfers") or []
    if not isinstance(transfers, list):
        raise bad_request('"transfers" must be a list of names, such as "basic"')
    multipart = "multipart" in transfers
    with call.hub.database.read() as connection:
        # Clients name the branch, except for a pull request.
        is_proposal = _revision(request).startswith("refs/pr/")
        repo = call.repo(connection, write=not is_proposal, propose=is_proposal)
        rows = connection.execute("SELECT sha256 FROM repo_blobs WHERE repo_id = ?", (repo.row_id,))
        stored = {row["sha256"] for row in rows}
    announced = [_announcement(each) for each in objects]
    is_stored = [s in stored and call.hub.blobs.size(s) == size for s, size in announced]
    _refuse_too_large(
        call, [size for (_, size), done in zip(announced, is_stored, strict=True) if not done]
    )
    answer: list[dict[str, Any]] = []
    for (sha256, size), done in zip(announced, is_stored, strict=True):
        line: dict[str, Any] = {"oid": sha256, "size": size, "authenticated": True}
        if not done:
            line["actions"] = {"upload": _upload_action(call, repo, sha256, size, multipart)}
        answer.append(line)
    transfer = "multipart" if multipart else "basic"
    return JSONResponse({"transfer": transfer, "objects": answer}, media_type=LFS_JSON)


def admit_object(call: Call) -> int:
    """Checks the ticket of a whole content; returns its size."""
    return _ticket(call, "object").size


def put_object(call: Call) -> Response:
    """PUT /lfs/object?ticket=: a whole content, kept if it matches the announcement."""
    ticket = _ticket(call, "object")
    assert call.received is not None
    _keep(call, ticket, call.received)
    return Response()


def admit_part(call: Call) -> int:
    """Checks the ticket of a part; returns its maximum size."""
    return _ticket(call, "part").size


def put_part(call: Call) -> Response:
    """PUT /lfs/part?ticket=: one part, stored under its number until completion."""
    ticket = _ticket(call, "part")
    assert call.received is not None
    call.received.path.replace(_part_path(call, ticket.upload, ticket.part))
    return Response(headers={"ETag": f'"{call.received.sha256}"'})


def complete(call: Call) -> Response:
    """POST /lfs/complete?ticket=: join the parts, kept if they match the announcement.

    A second call finds the content stored and succeeds, so a client may repeat it.
    """
    ticket = _ticket(call, "complete")
    if call.hub.blobs.size(ticket.sha256) != ticket.size or not _is_known(call, ticket):
        numbers = range(1, ticket.num_parts + 1)
        parts = [_part_path(call, ticket.upload, number) for number in numbers]
        missing = [str(n) for n, part in zip(numbers, parts, strict=True) if not part.exists()]
        if missing:
            raise bad_request(f"Parts missing: {', '.join(missing)}. Upload the file again.")
        with call.hub.blobs.receive() as (path, writer):
            for part in parts:
                with part.open("rb") as file:
                    while chunk := file.read(CHUNK_BYTES):
                        writer.write(chunk)
            writer.flush()
            _keep(call, ticket, Received(path, writer.sha256(), writer.size))
        for part in parts:
            part.unlink(missing_ok=True)
    return JSONResponse({"success": True})


def _revision(request: dict[str, Any]) -> str:
    """The branch that an upload is for; the client names none for a new pull request."""
    ref = request.get("ref")
    name = cast(dict[str, object], ref).get("name") if isinstance(ref, dict) else None
    return str(name) if name else "refs/pr/new"


def _announcement(announced: object) -> tuple[str, int]:
    fields = cast(dict[str, object], announced) if isinstance(announced, dict) else {}
    sha256, size = fields.get("oid"), fields.get("size")
    if not is_sha256(sha256) or not isinstance(size, int) or size < 0:
        raise bad_request('each of "objects" needs "oid", a SHA-256 in hex, and "size"')
    return cast(str, sha256), size


def _refuse_too_large(call: Call, sizes: list[int]) -> None:
    """Refuses what cannot be stored, before an address is made for each part of it.

    Raises:
        HubError: 413 for a content of too many parts, 507 if the disk lacks space for all.
    """
    limits, free_bytes = call.hub.limits, call.hub.blobs.free_bytes()
    max_bytes = limits.part_bytes * limits.max_parts
    if max(sizes, default=0) > max_bytes:
        raise HubError(413, f"A file may have at most {max_bytes:,} bytes on this Hub")
    if sum(sizes) > free_bytes:
        raise HubError(
            507,
            f"The Hub's disk has space for {free_bytes:,} bytes, not for {sum(sizes):,}: free some "
            "space and try again",
        )


def _upload_action(
    call: Call, repo: Repo, sha256: str, size: int, multipart: bool
) -> dict[str, Any]:
    part_bytes = call.hub.limits.part_bytes
    if not multipart or size <= part_bytes:
        ticket = Ticket("object", repo.row_id, sha256, size)
        return {"href": _address(call, "object", ticket)}
    upload, num_parts = secrets.token_hex(16), -(-size // part_bytes)
    header = {"chunk_size": str(part_bytes)}
    for number in range(1, num_parts + 1):
        ticket = Ticket("part", repo.row_id, sha256, part_bytes, upload, number, num_parts)
        header[str(number)] = _address(call, "part", ticket)
    ticket = Ticket("complete", repo.row_id, sha256, size, upload, 0, num_parts)
    return {"href": _address(call, "complete", ticket), "header": header}


def _address(call: Call, action: str, ticket: Ticket) -> str:
    return f"{call.origin}/lfs/{action}?ticket={call.hub.tickets.issue(ticket)}"


def _ticket(call: Call, action: Any) -> Ticket:
    return call.hub.tickets.check(call.query.get("ticket", ""), action)


def _part_path(call: Call, upload: str, number: int) -> Path:
    return call.hub.blobs.temporary_path().with_name(f"{upload}.{number}")


def _is_known(call: Call, ticket: Ticket) -> bool:
    with call.hub.database.read() as connection:
        row = connection.execute(
            "SELECT 1 FROM repo_blobs WHERE repo_id = ? AND sha256 = ?",
            (ticket.repo_row_id, ticket.sha256),
        ).fetchone()
    return row is not None


def _keep(call: Call, ticket: Ticket, received: Received) -> None:
    call.hub.blobs.keep(received, ticket.sha256, ticket.size)
    with call.hub.database.write() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO repo_blobs SELECT id, ? FROM repos WHERE id = ?",
            (ticket.sha256, ticket.repo_row_id),
        )


# fmt: off
_LFS_SUFFIXES = (
    ".7z", ".arrow", ".avro", ".bin", ".bz2", ".ckpt", ".flac", ".gif", ".gz", ".h5", ".jpeg",
    ".jpg", ".joblib", ".lz4", ".mds", ".model", ".mp3", ".mp4", ".msgpack", ".npy", ".npz",
    ".ogg", ".onnx", ".parquet", ".pickle", ".pkl", ".png", ".pt", ".pth", ".rar", ".raw",
    ".safetensors", ".tar", ".tflite", ".tgz", ".tif", ".tiff", ".wav", ".webm", ".webp", ".xz",
    ".zip", ".zst",
)
# fmt: on
_ALWAYS_REGULAR = frozenset(("README.md", ".gitattributes", ".gitignore"))

GIT_ATTRIBUTES = "".join(
    f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in _LFS_SUFFIXES
).encode()


def is_lfs_file(path: str, size: int, sample: str, lfs_above_bytes: int) -> bool:
    """Whether the Hub keeps a file in LFS: by name, by size, or because it is binary.

    Args:
        path: Its path in the repository.
        size: In bytes; empty files never go through LFS.
        sample: The first bytes, base64.
        lfs_above_bytes: The largest size sent inside a commit.
    """
    if path in _ALWAYS_REGULAR or size == 0:
        return False
    if PurePosixPath(path).suffix.lower() in _LFS_SUFFIXES or size > lfs_above_bytes:
        return True
    try:
        return b"\0" in base64.b64decode(sample, validate=True)
    except (binascii.Error, ValueError):
        return False
