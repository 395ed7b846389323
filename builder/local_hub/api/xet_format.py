"""The two binary formats of the Xet protocol: xorbs and shards.

A xorb is a sequence of compressed chunks. A shard lists, for each uploaded file, its
chunks, the xorbs they are in, and its SHA-256.

Source: Xet protocol specification 1.1, https://huggingface.co/docs/xet (xorb, shard).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow

from builder.local_hub.errors import bad_request

MAX_XORB_BYTES = 66 << 20  # 64 MiB of chunks, and a footer
MAX_SHARD_BYTES = 64 << 20
MAX_CHUNK_BYTES = 1 << 20  # 128 KiB in the specification; the format allows 16 MiB

_CHUNK_HEADER_BYTES = 8
_STORED, _LZ4, _GROUPED_LZ4 = range(3)

_SHARD_TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
_RECORD_BYTES = 48
_BOOKEND = b"\xff" * 32
_WITH_VERIFICATION, _WITH_METADATA = 1 << 31, 1 << 30


@dataclass(frozen=True, slots=True)
class Term:
    """Chunks `first` to `stop`, exclusive, of a xorb: one piece of a file."""

    xorb: str
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A file as a shard describes it."""

    sha256: str
    size: int
    terms: tuple[Term, ...]


def count_chunks(path: Path) -> int:
    """The number of chunks in a xorb file.

    Raises:
        HubError: 400 if it is not a sequence of whole chunks.
    """
    with path.open("rb") as file:
        return sum(1 for _ in _chunk_headers(file))


def read_chunks(path: Path, first: int, stop: int) -> Iterator[bytes]:
    """Chunks `first` to `stop`, exclusive, of a xorb file, uncompressed.

    Raises:
        HubError: 400 if there are fewer chunks, or one is damaged.
    """
    found = first
    with path.open("rb") as file:
        for index, (scheme, packed_size, size) in enumerate(_chunk_headers(file)):
            if index >= stop:
                return
            if index >= first:
                yield _unpack(scheme, file.read(packed_size), size)
                found += 1
    if found < stop:
        raise bad_request(f"A file needs chunk {found} of a xorb that has no such chunk")


def parse_shard(content: bytes) -> list[ShardFile]:
    """The files that an uploaded shard describes; its other sections are not needed.

    Raises:
        HubError: 400 if it is cut off, of another version, or leaves out a SHA-256.
    """
    try:
        tag, version, _ = struct.unpack_from("<32sQQ", content)
        if tag != _SHARD_TAG or version != 2:
            raise bad_request("Not a shard of version 2")
        return list(_shard_files(content))
    except struct.error as error:
        raise bad_request("The shard is cut off") from error


def _shard_files(content: bytes) -> Iterator[ShardFile]:
    offset = _RECORD_BYTES
    while True:
        file_hash, flags, num_terms = struct.unpack_from("<32sII", content, offset)
        offset += _RECORD_BYTES
        if file_hash == _BOOKEND:
            return
        size, terms = 0, list[Term]()
        for _ in range(num_terms):
            xorb, _, term_bytes, first, stop = struct.unpack_from("<32sIIII", content, offset)
            terms.append(Term(_hash_text(xorb), first, stop))
            size += term_bytes
            offset += _RECORD_BYTES
        if flags & _WITH_VERIFICATION:
            offset += num_terms * _RECORD_BYTES
        if not flags & _WITH_METADATA:
            raise bad_request("A file in the shard has no SHA-256")
        (sha256,) = struct.unpack_from("<32s", content, offset)
        offset += _RECORD_BYTES
        yield ShardFile(_hash_text(sha256), size, tuple(terms))


def _hash_text(digest: bytes) -> str:
    """A hash as text: the protocol treats it as four little-endian numbers of 64 bits."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


def _chunk_headers(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Scheme, packed and unpacked size of each chunk; the file's position is then at its data."""
    while True:
        header = file.read(_CHUNK_HEADER_BYTES)
        if not header or header.startswith(b"XETBLOB"):  # a footer may follow the chunks
            return
        start = file.tell()
        packed_size = int.from_bytes(header[1:4], "little")
        size = int.from_bytes(header[5:8], "little")
        if len(header) < _CHUNK_HEADER_BYTES or header[0] != 0 or size > MAX_CHUNK_BYTES:
            raise bad_request("The xorb is not a sequence of chunks of version 0")
        yield header[4], packed_size, size
        file.seek(start + packed_size)


def _unpack(scheme: int, packed: bytes, size: int) -> bytes:
    if scheme == _STORED:
        chunk = packed
    elif scheme in (_LZ4, _GROUPED_LZ4):
        try:
            chunk = pyarrow.decompress(packed, size, codec="lz4", asbytes=True)
        except (OSError, ValueError) as error:
            raise bad_request("A chunk of the xorb is damaged") from error
        if scheme == _GROUPED_LZ4:
            chunk = _ungroup(chunk)
    else:
        raise bad_request(f"A chunk of the xorb has an unknown compression scheme, {scheme}")
    if len(chunk) != size:
        raise bad_request("A chunk of the xorb is damaged")
    return chunk


def _ungroup(grouped: bytes) -> bytes:
    """Undoes the grouping of bytes by their position modulo four."""
    chunk, start = bytearray(len(grouped)), 0
    for position in range(4):
        count = len(range(position, len(grouped), 4))
        chunk[position::4] = grouped[start : start + count]
        start += count
    return bytes(chunk)
