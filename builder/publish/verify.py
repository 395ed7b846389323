"""Checks a release directory against its manifest, byte for byte."""

from collections.abc import Callable
from pathlib import Path

from builder.publish.errors import PublishError
from builder.release.shards import file_sha256
from schemas.manifest import MANIFEST_NAME, FileEntry, ReleaseManifest, ShardEntry, read_manifest


class DamagedReleaseError(PublishError):
    """A release directory is not what its manifest says."""


def manifest_entries(manifest: ReleaseManifest) -> dict[str, FileEntry | ShardEntry]:
    """Every file of a release but the manifest itself, by path.

    Raises:
        DamagedReleaseError: A path leaves the release directory, as in an attack.
    """
    entries = {entry.path: entry for entry in (*manifest.shards, *manifest.files)}
    for path in entries:
        if "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
            raise DamagedReleaseError(
                f'version {manifest.version}: its manifest names "{path}", which is outside the '
                "release. Do not use this version; tell its publisher."
            )
    return entries


def verify_release(
    directory: Path,
    progress: Callable[[int], None] = lambda num_bytes: None,
    *,
    remedy: str | None = None,
) -> ReleaseManifest:
    """Reads every file of a release and compares its checksum.

    Args:
        directory: The release.
        progress: Called with the size of each file, in bytes.
        remedy: What to do about a damaged release; by default, release it again.

    Raises:
        DamagedReleaseError: A file is missing, changed, or not in the manifest.
    """
    manifest = read_manifest(directory)
    entries = manifest_entries(manifest)
    remedy = remedy or (
        f"Delete {directory} and make the version again with `python -m builder release "
        f"--version {manifest.version}`; nothing was published."
    )
    for name, entry in sorted(entries.items()):
        path = directory / name
        if not path.is_file():
            raise DamagedReleaseError(f"{path}: missing. {remedy}")
        if path.stat().st_size != entry.num_bytes or file_sha256(path) != entry.sha256:
            raise DamagedReleaseError(f"{path}: its bytes do not match the manifest. {remedy}")
        progress(entry.num_bytes)
    known = {*entries, MANIFEST_NAME}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in known:
            raise DamagedReleaseError(
                f"{path}: not in the manifest. Move it away; a release never changes."
            )
    return manifest
