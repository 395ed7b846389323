"""Uploads by the Xet protocol, which clients prefer: chunks come in xorbs, files in a shard.

Files are assembled at once and kept like any other content, so downloads are plain HTTP.
A client remembers which chunks it has sent and never sends them again; so for each xorb
this Hub records which contents have its chunks, and can then delete the xorb itself.
"""

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from starlette.responses import JSONResponse, Response

from builder.local_hub.api.calls import Call
from builder.local_hub.api.xet_format import (
    MAX_SHARD_BYTES,
    MAX_XORB_BYTES,
    ShardFile,
    Term,
    count_chunks,
    parse_shard,
    read_chunks,
)
from builder.local_hub.errors import HubError, bad_credentials, bad_request
from builder.local_hub.storage.blobs import BlobStore, Received
from builder.local_hub.storage.names import is_sha256
from builder.local_hub.tickets import LIFETIME_S, Ticket


def write_token(call: Call) -> Response:
    """GET …/xet-write-token/{rev}: a key to the addresses below, for one repository.

    The address names this storage and the repository, because clients remember sent
    chunks by address, and those of one repository must not count for another.
    """
    with call.hub.database.read() as connection:
        repo = call.repo(connection, write=not call.is_proposal, propose=call.is_proposal)
    ticket = call.hub.tickets.issue(Ticket("xet", repo.row_id))
    address = f"{call.origin}/xet/{call.hub.tickets.office_id}-{repo.row_id}"
    expires_s = call.hub.tickets.now_s() + LIFETIME_S
    headers = {
        "X-Xet-Access-Token": ticket,
        "X-Xet-Cas-Url": address,
        "X-Xet-Token-Expiration": str(expires_s),
    }
    body = {"accessToken": ticket, "casUrl": address, "exp": expires_s}
    return JSONResponse(body, headers=headers)


def admit_xorb(call: Call) -> int:
    """Checks the key; returns the maximum size of a xorb."""
    _repo_row_id(call)
    if not is_sha256(call.params["hash"]):
        raise bad_request("A xorb is named by 64 hex digits")
    return MAX_XORB_BYTES


def put_xorb(call: Call) -> Response:
    """POST /xet/{scope}/v1/xorbs/default/{hash}: chunks, stored until a shard needs them."""
    assert call.received is not None
    count_chunks(call.received.path)
    path = _xorb_path(call, _repo_row_id(call), call.params["hash"])
    was_inserted = not path.exists()
    call.hub.blobs.set_aside(call.received, path)
    return JSONResponse({"was_inserted": was_inserted})


def admit_shard(call: Call) -> int:
    """Checks the key; returns the maximum size of a shard."""
    _repo_row_id(call)
    return MAX_SHARD_BYTES


def put_shard(call: Call) -> Response:
    """POST /xet/{scope}/v1/shards: assemble the files from chunks and verify them."""
    assert call.received is not None
    repo_row_id = _repo_row_id(call)
    files = parse_shard(call.received.path.read_bytes())
    for file in files:
        _assemble(call, repo_row_id, file)
    for xorb in {term.xorb for file in files for term in file.terms}:
        path = _xorb_path(call, repo_row_id, xorb)
        with suppress(FileNotFoundError):
            if _is_covered(call, repo_row_id, xorb, count_chunks(path)):
                path.unlink()
    return JSONResponse({"result": 1})


def _assemble(call: Call, repo_row_id: int, file: ShardFile) -> None:
    """Writes a file from its chunks, keeps it, and records where its chunks are."""
    spans: list[tuple[Term, int, bytes]] = []
    with call.hub.blobs.receive() as (path, writer):
        for term in file.terms:
            offset, lengths = writer.size, array("I")
            for chunk in _chunks(call, repo_row_id, term):
                writer.write(chunk)
                lengths.append(len(chunk))
            spans.append((term, offset, lengths.tobytes()))
        writer.flush()
        received = Received(path, writer.sha256(), writer.size)
        call.hub.blobs.keep(received, file.sha256, file.size)
    with call.hub.database.write() as connection:
        owner = "FROM repos WHERE id = ?"  # it may have been deleted meanwhile
        connection.execute(
            f"INSERT OR IGNORE INTO repo_blobs SELECT id, ? {owner}", (file.sha256, repo_row_id)
        )
        connection.executemany(
            f"INSERT OR IGNORE INTO xorb_spans SELECT id, ?, ?, ?, ?, ?, ? {owner}",
            [
                (term.xorb, term.first, term.stop, file.sha256, offset, lengths, repo_row_id)
                for term, offset, lengths in spans
            ],
        )


def _chunks(call: Call, repo_row_id: int, term: Term) -> Iterator[bytes]:
    """A term's chunks, from the xorb or from the contents that it became part of."""
    try:
        path = _xorb_path(call, repo_row_id, term.xorb)
        yield from read_chunks(path, term.first, term.stop)
        return
    except FileNotFoundError:  # used up
        pass
    with call.hub.database.read() as connection:
        spans = _spans(connection, repo_row_id, term)
    for span, first, stop in spans:
        yield from _read_span(call.hub.blobs, span, first, stop)


def _spans(
    connection: sqlite3.Connection, repo_row_id: int, term: Term
) -> list[tuple[sqlite3.Row, int, int]]:
    """Spans that together have a term's chunks, each with the range to read.

    Raises:
        HubError: 400 if a chunk is missing.
    """
    rows = connection.execute(
        "SELECT * FROM xorb_spans WHERE repo_id = ? AND xorb = ? AND first < ? AND stop > ?",
        (repo_row_id, term.xorb, term.stop, term.first),
    ).fetchall()
    chosen: list[tuple[sqlite3.Row, int, int]] = []
    position = term.first
    while position < term.stop:
        usable = [row for row in rows if row["first"] <= position < row["stop"]]
        if not usable:
            raise bad_request(f"Xorb {term.xorb} is missing: upload it again")
        best = max(usable, key=lambda row: row["stop"])
        stop = min(best["stop"], term.stop)
        chosen.append((best, position, stop))
        position = stop
    return chosen


def _read_span(blobs: BlobStore, span: sqlite3.Row, first: int, stop: int) -> Iterator[bytes]:
    lengths = array("I", span["lengths"])
    skipped = first - span["first"]
    with blobs.path(span["sha256"]).open("rb") as file:
        file.seek(span["offset"] + sum(lengths[:skipped]))
        for length in lengths[skipped : skipped + stop - first]:
            yield file.read(length)


def _is_covered(call: Call, repo_row_id: int, xorb: str, num_chunks: int) -> bool:
    """Whether stored contents have all chunks of a xorb."""
    with call.hub.database.read() as connection:
        try:
            _spans(connection, repo_row_id, Term(xorb, 0, num_chunks))
        except HubError:
            return False
    return True


def _xorb_path(call: Call, repo_row_id: int, xorb: str) -> Path:
    assert is_sha256(xorb), "a xorb is named by its hash alone"
    return call.hub.blobs.aside_path(f"{repo_row_id}-{xorb}")


def _repo_row_id(call: Call) -> int:
    """The repository that the key in the header is for.

    Raises:
        HubError: 401 without a valid key, so that the client asks for a new one.
    """
    _, _, text = call.headers.get("authorization", "").partition(" ")
    try:
        ticket = call.hub.tickets.check(text, "xet")
    except HubError as error:
        raise bad_credentials() from error
    if call.params["scope"] != f"{call.hub.tickets.office_id}-{ticket.repo_row_id}":
        raise bad_credentials()
    return ticket.repo_row_id
