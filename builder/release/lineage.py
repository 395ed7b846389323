"""Which versions a release continues, known by the content of their manifests, not by number."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from builder.release.versions import Version, released_versions
from schemas.manifest import MANIFEST_NAME, ManifestError, ReleaseManifest, read_manifest


def manifest_sha256(content: bytes) -> str:
    """What a version is known by: sha256 (hex) of its `manifest.json`."""
    return hashlib.sha256(content).hexdigest()


def release_sha256(directory: Path) -> str:
    """The same of a release directory."""
    return manifest_sha256((directory / MANIFEST_NAME).read_bytes())


def ancestors_of(directory: Path, manifest: ReleaseManifest) -> list[str]:
    """Manifests that a release continues, its predecessor's first.

    A release of an earlier program did not record them; they are then those of
    its predecessors by number, as far as these are in the same directory.
    """
    found: list[str] = []
    while not manifest.ancestors and manifest.previous_version is not None:
        directory = directory.parent / manifest.previous_version
        try:
            manifest = read_manifest(directory)
            found.append(release_sha256(directory))
        except (ManifestError, OSError):
            return found
    return [*found, *manifest.ancestors]


def is_whole(directory: Path) -> bool:
    """Whether every file of a release is there and has its size; contents are not read."""
    manifest = read_manifest(directory)
    return all(
        (directory / entry.path).is_file()
        and (directory / entry.path).stat().st_size == entry.num_bytes
        for entry in (*manifest.shards, *manifest.files)
    )


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The release that a new one continues; its shards may be reused.

    Args:
        directory: Where it is.
        manifest: Its manifest.
        lineage: Its own manifest's sha256, then those of its ancestors.
    """

    directory: Path
    manifest: ReleaseManifest
    lineage: list[str] = field(default_factory=list)


def find_predecessor(releases_dir: Path, version: Version) -> tuple[Predecessor | None, list[str]]:
    """The highest lower release whose manifest can be read.

    Returns:
        The release, None if there is none, and a note about each damaged one that was skipped.
    """
    notes: list[str] = []
    for found in reversed(released_versions(releases_dir)):
        if found >= version:
            continue
        directory = releases_dir / str(found)
        try:
            manifest = read_manifest(directory)
        except ManifestError as exc:
            notes.append(
                f"{exc} Version {version} does not need it and continues an earlier one. If "
                f"{found} is published, `python -m builder rebase` fetches it again; "
                "otherwise delete it."
            )
            continue
        lineage = [release_sha256(directory), *ancestors_of(directory, manifest)]
        return Predecessor(directory, manifest, lineage), notes
    return None, notes


def find_by_sha256(releases_dir: Path, sha256: str) -> Path | None:
    """The release of a workspace that has this manifest."""
    for version in reversed(released_versions(releases_dir)):
        directory = releases_dir / str(version)
        if release_sha256(directory) == sha256:
            return directory
    return None
