"""Uploads by Xet: the binary formats, and what is refused."""

import hashlib
import struct

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.local_hub.api.xet_format import Term, count_chunks, parse_shard, read_chunks
from builder.local_hub.errors import HubError
from tests.hub_server import RunningHub
from tests.local_hub.conftest import Caller, put_lfs

TAG = b"HFRepoMetaData\0UigEj{\x81W\x83\xa5\xbd\xd9\\\xcd\xd1J\xa9"
END = b"\xff" * 32 + b"\0" * 16


def chunk(data: bytes, scheme: int) -> bytes:
    """A chunk as a client packs it: as it is, by LZ4, or grouped by bytes and then by LZ4."""
    grouped = b"".join(data[position::4] for position in range(4))
    plain = grouped if scheme == 2 else data
    packed = plain if scheme == 0 else pyarrow.compress(plain, codec="lz4", asbytes=True)
    sizes = len(packed).to_bytes(3, "little"), len(data).to_bytes(3, "little")
    return b"\0" + sizes[0] + bytes([scheme]) + sizes[1] + packed


def raw(text: str) -> bytes:
    """The 32 bytes that the protocol writes for a hash."""
    return struct.pack("<4Q", *(int(text[i : i + 16], 16) for i in range(0, 64, 16)))


def shard(sha256: str, *terms: tuple[str, int, int, int]) -> bytes:
    """A shard of one file; a term is a xorb, its size, its first chunk and the one after."""
    header = TAG + struct.pack("<QQ", 2, 0)
    file = b"\1" * 32 + struct.pack("<II8x", (1 << 31) | (1 << 30), len(terms))
    pieces = b"".join(raw(x) + struct.pack("<IIII", 0, size, a, b) for x, size, a, b in terms)
    checks = b"\2" * 48 * len(terms)
    return header + file + pieces + checks + raw(sha256) + b"\0" * 16 + END + END


@given(st.lists(st.tuples(st.binary(max_size=300), st.sampled_from([0, 1, 2])), max_size=6))
def test_chunks_come_out_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[bytes, int]]
) -> None:
    path = tmp_path_factory.mktemp("xorb") / "x"
    footer = b"XETBLOB and what may follow"
    path.write_bytes(b"".join(chunk(*pair) for pair in chunks) + footer)
    assert count_chunks(path) == len(chunks)
    for first in range(len(chunks) + 1):
        found = list(read_chunks(path, first, len(chunks)))
        assert found == [data for data, _ in chunks[first:]]
    with pytest.raises(HubError, match="no such chunk"):
        list(read_chunks(path, 0, len(chunks) + 1))


def test_shard_names_files_by_sha256_and_chunks() -> None:
    sha256, xorb = hashlib.sha256(b"f").hexdigest(), hashlib.sha256(b"x").hexdigest()
    (file,) = parse_shard(shard(sha256, (xorb, 10, 0, 2), (xorb, 5, 7, 8)))
    assert (file.sha256, file.size) == (sha256, 15)
    assert file.terms == (Term(xorb, 0, 2), Term(xorb, 7, 8))
    for broken in (b"", b"x" * 100, shard(sha256, (xorb, 10, 0, 2))[:-60]):
        with pytest.raises(HubError):
            parse_shard(broken)


@pytest.fixture
def xet(owner: Caller) -> tuple[str, str, dict[str, str]]:
    """A dataset, its Xet address and the headers with its key."""
    repo = "demo/xet"
    if owner.get(f"/api/datasets/{repo}").status_code != 200:
        owner.create("xet")
    token = owner.get(f"/api/datasets/{repo}/xet-write-token/main").json()
    return repo, token["casUrl"], {"Authorization": f"Bearer {token['accessToken']}"}


def test_file_is_put_together_and_its_chunks_are_remembered(
    hub: RunningHub, owner: Caller, xet: tuple[str, str, dict[str, str]]
) -> None:
    repo, url, key = xet
    pieces = [b"a" * 1000, b"b" * 500, b"c" * 2000]
    xorb, whole = "1" * 64, b"".join(pieces)
    sha256 = hashlib.sha256(whole).hexdigest()
    body = b"".join(chunk(piece, scheme) for scheme, piece in enumerate(pieces))
    answer = owner.post(f"{url}/v1/xorbs/default/{xorb}", content=body, headers=key)
    assert answer.json() == {"was_inserted": True}
    lines = shard(sha256, (xorb, 1500, 0, 2), (xorb, 2000, 2, 3))
    assert owner.post(f"{url}/v1/shards", content=lines, headers=key).status_code == 200
    assert owner.commit(repo, put_lfs("a.bin", sha256, 3500)).status_code == 200
    assert owner.get(f"/datasets/{repo}/resolve/main/a.bin").content == whole
    assert list((hub.root / "aside").iterdir()) == [], "a xorb used up does not stay"

    other = pieces[1] + pieces[2] + pieces[0]
    sha256 = hashlib.sha256(other).hexdigest()
    lines = shard(sha256, (xorb, 2500, 1, 3), (xorb, 1000, 0, 1))
    assert owner.post(f"{url}/v1/shards", content=lines, headers=key).status_code == 200
    assert owner.commit(repo, put_lfs("b.bin", sha256, 3500)).status_code == 200
    assert owner.get(f"/datasets/{repo}/resolve/main/b.bin").content == other


def test_damaged_or_incomplete_uploads_are_refused(
    owner: Caller, xet: tuple[str, str, dict[str, str]]
) -> None:
    repo, url, key = xet
    xorb, good = "2" * 64, b"good content"
    sha256 = hashlib.sha256(good).hexdigest()
    missing = owner.post(f"{url}/v1/shards", content=shard(sha256, (xorb, 12, 0, 1)), headers=key)
    assert (missing.status_code, "is missing" in missing.json()["error"]) == (400, True)
    for body in (b"\7nonsense", chunk(b"bad content!", 0)):
        owner.post(f"{url}/v1/xorbs/default/{xorb}", content=body, headers=key)
        answer = owner.post(
            f"{url}/v1/shards", content=shard(sha256, (xorb, 12, 0, 1)), headers=key
        )
        assert answer.status_code == 400
    assert owner.commit(repo, put_lfs("c.bin", sha256, 12)).status_code == 400
    name = owner.post(f"{url}/v1/xorbs/default/..%2F..%2Fx", content=b"", headers=key)
    assert name.status_code == 400


def test_key_is_needed_and_holds_for_one_repository(
    owner: Caller, xet: tuple[str, str, dict[str, str]]
) -> None:
    _, url, key = xet
    other = url.rsplit("-", 1)[0] + "-9999"
    for address, headers in ((url, {}), (url, {"Authorization": "Bearer x.y"}), (other, key)):
        for path in ("/v1/shards", f"/v1/xorbs/default/{'3' * 64}"):
            assert owner.post(address + path, content=b"", headers=headers).status_code == 401
