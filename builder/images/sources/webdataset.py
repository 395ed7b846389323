"""WebDataset tars, as img2dataset writes them: `00042.jpg` beside `00042.json`."""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from builder.images.sources.candidate import Candidate, RefusedFile
from builder.images.sources.folder import IMAGE_SUFFIXES
from schemas.errors import PolysceneError

_MAX_SIDECAR_BYTES = 1_000_000


class TarError(PolysceneError):
    """A tar cannot be read to its end."""


def read_tars(paths: Iterable[Path], max_bytes: int) -> Iterator[Candidate | RefusedFile]:
    """Yields the images of the tars, streaming; nothing is unpacked to disk.

    A JSON file of the same key gives `url`, `licence` or `license`. Links and
    other members that are not plain files are skipped.

    Raises:
        TarError: A tar is broken; the images before that point were yielded.
    """
    for path in paths:
        try:
            with tarfile.open(path, "r|*") as tar:
                yield from _read_tar(tar, path.name, max_bytes)
        except (tarfile.TarError, EOFError, OSError) as exc:
            raise TarError(
                f"{path}: the tar cannot be read to its end ({exc}). "
                "Fetch it again; the images before that point are kept."
            ) from exc


def _read_tar(
    tar: tarfile.TarFile, tar_name: str, max_bytes: int
) -> Iterator[Candidate | RefusedFile]:
    key: str | None = None
    images: list[tuple[str, bytes]] = []
    sidecar: dict[str, Any] = {}
    for member in tar:
        if not member.isfile():
            continue
        suffix = PurePosixPath(member.name).suffix.lower()
        if suffix != ".json" and suffix not in IMAGE_SUFFIXES:
            continue
        member_key = member.name.removesuffix(PurePosixPath(member.name).suffix)
        if member_key != key:
            yield from _candidates(tar_name, images, sidecar)
            key, images, sidecar = member_key, [], {}
        limit = _MAX_SIDECAR_BYTES if suffix == ".json" else max_bytes
        if member.size > limit:
            what = f"{member.size:,} bytes, the limit is {limit:,}"
            yield RefusedFile(f"{tar_name}/{member.name}", "too_many_bytes", what)
            continue
        handle = tar.extractfile(member)
        data = handle.read() if handle else b""
        if suffix == ".json":
            sidecar = _facts(data)
        else:
            images.append((member.name, data))
    yield from _candidates(tar_name, images, sidecar)


def _candidates(
    tar_name: str, images: list[tuple[str, bytes]], sidecar: dict[str, Any]
) -> Iterator[Candidate]:
    for name, data in images:
        full_name = f"{tar_name}/{name}"
        url = sidecar.get("url")
        licence = sidecar.get("licence") or sidecar.get("license")
        yield Candidate(
            full_name,
            data,
            url if isinstance(url, str) and url else full_name,
            licence=licence if isinstance(licence, str) else None,
        )


def _facts(data: bytes) -> dict[str, Any]:
    try:
        facts = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return facts if isinstance(facts, dict) else {}
