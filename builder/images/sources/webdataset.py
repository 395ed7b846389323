"""WebDataset tars, as img2dataset writes them: `00042.jpg` beside `00042.json`."""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from builder.images.sources.candidate import Candidate, RefusedFile, too_many_bytes
from builder.images.sources.facts import Facts, facts_of_json, facts_of_texts, is_fact_key
from builder.images.sources.folder import IMAGE_SUFFIXES
from builder.images.sources.tar_stream import DAMAGE, TarError, open_tar

_MAX_SIDECAR_BYTES = 1_000_000


@dataclass(slots=True)
class _Sample:
    """The files of one key, which stand one after the other."""

    key: str = ""
    images: list[tuple[str, bytes]] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    texts: dict[str, bytes] = field(default_factory=dict)


def read_tars(
    paths: Iterable[Path], max_bytes: int, root: Path | None = None
) -> Iterator[Candidate | RefusedFile]:
    """Yields the images of the tars, streaming; nothing is unpacked to disk.

    Files of one sample share folder and name up to the first dot, as in the
    `webdataset` library; a JSON or text file of the same sample says what is
    known of its images, which form one group. Links, and names that would
    leave the tar's folder, are refused.

    Args:
        paths: The tars; each is read as far as it goes.
        max_bytes: Largest image to take.
        root: Images are named by their tar's path below it; else by the tar's name.

    Raises:
        TarError: After the last tar: some are damaged; what stands before was yielded.
    """
    damaged: list[str] = []
    tars = list(paths)
    for path in tars:
        name = path.relative_to(root).as_posix() if root else path.name
        num_files = 0
        try:
            with open_tar(path) as tar:
                for entry in _read_tar(tar, name, max_bytes):
                    num_files += 1
                    yield entry
        except TarError as exc:
            damaged.append(f"{exc}; {num_files:,} images stand before that point")
    if damaged:
        listed = ". ".join(damaged[:5])
        raise TarError(
            f"{len(damaged):,} of {len(tars):,} tars are damaged. {listed}. "
            "These images are kept, those behind them are lost. "
            "Fetch the damaged files again, then add them again."
        )


def split_name(name: str) -> tuple[str, str]:
    """A member's key and extension: the name's part behind the folder is cut at its first dot."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def _read_tar(
    tar: tarfile.TarFile, tar_name: str, max_bytes: int
) -> Iterator[Candidate | RefusedFile]:
    sample = _Sample()
    seen: set[str] = set()
    try:
        for member in tar:
            key, extension = split_name(member.name)
            kind = extension.rpartition(".")[2]
            is_image = f".{kind}" in IMAGE_SUFFIXES
            if not is_image and kind != "json" and not is_fact_key(kind):
                continue
            full_name = f"{tar_name}/{member.name}"
            refusal = _refusal(member, full_name, seen) if is_image else None
            if refusal is not None:
                yield refusal
                continue
            if not member.isfile():
                continue
            if key != sample.key:
                yield from _candidates(tar_name, sample)
                sample = _Sample(key)
            limit = max_bytes if is_image else _MAX_SIDECAR_BYTES
            if member.size > limit:
                yield too_many_bytes(full_name, member.size, limit)
                continue
            handle = tar.extractfile(member)
            data = handle.read() if handle else b""
            if is_image:
                sample.images.append((full_name, data))
            elif kind == "json":
                sample.facts = sample.facts.filled_from(facts_of_json(data))
            else:
                sample.texts.setdefault(kind, data)
    except DAMAGE:
        yield from _candidates(tar_name, sample)
        raise
    yield from _candidates(tar_name, sample)


def _refusal(member: tarfile.TarInfo, full_name: str, seen: set[str]) -> RefusedFile | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        return RefusedFile(full_name, "unsafe_name", "its name leads out of the tar")
    if not member.isfile():
        return RefusedFile(full_name, "not_a_file", "it is a link, a folder or a device")
    if member.name in seen:
        return RefusedFile(full_name, "duplicate_name", "the tar has another file of this name")
    seen.add(member.name)
    return None


def _candidates(tar_name: str, sample: _Sample) -> Iterator[Candidate]:
    facts = sample.facts.filled_from(facts_of_texts(sample.texts))
    group = f"sample:{tar_name}/{sample.key}" if len(sample.images) > 1 else None
    for full_name, data in sample.images:
        yield Candidate(
            full_name,
            data,
            facts.url or full_name,
            group,
            facts.licence,
            caption=facts.caption,
            alt_text=facts.alt_text,
        )
