"""Lists the versions of a repository or a workspace."""

from dataclasses import dataclass
from pathlib import Path

from builder.publish.repo import DatasetRepo
from builder.release.versions import Version, released_versions
from schemas.manifest import ManifestError, ReleaseManifest, read_manifest


@dataclass(frozen=True, slots=True)
class Listed:
    """One version; `commit` is None in a workspace, `note` is for people."""

    version: Version
    commit: str | None
    num_samples: int
    num_languages: int
    note: str


def published_versions(repo: DatasetRepo) -> tuple[list[Listed], list[str]]:
    """Versions on a Hub, lowest first, and warnings about its tags and the head of main."""
    refs = repo.refs()
    found: list[Listed] = []
    warnings: list[str] = []
    for version, commit in sorted(refs.tags.items()):
        manifest = repo.own_manifest(commit)
        found.append(_listed(version, commit, manifest))
        if manifest is not None and manifest.version != str(version):
            warnings.append(
                f"tag {version.tag} (commit {commit[:12]}) holds version {manifest.version}: it "
                "was moved or set by hand. `pull` and `load_version` refuse it."
            )
    head = repo.own_manifest(refs.head) if refs.head else None
    if refs.head and head is not None and refs.head not in refs.tags.values():
        warnings.append(
            f"main (commit {refs.head[:12]}) holds version {head.version} without its tag: "
            "its publication was interrupted. Publish it again to finish."
        )
    return found, warnings


def local_versions(releases_dir: Path) -> list[Listed]:
    """Versions in a workspace, lowest first."""
    found: list[Listed] = []
    for version in released_versions(releases_dir):
        try:
            found.append(_listed(version, None, read_manifest(releases_dir / str(version))))
        except ManifestError as exc:
            found.append(Listed(version, None, 0, 0, str(exc)))
    return found


def _listed(version: Version, commit: str | None, manifest: ReleaseManifest | None) -> Listed:
    if manifest is None:
        return Listed(version, commit, 0, 0, "not made by this program")
    note = f"restores {manifest.restored_from}" if manifest.restored_from else ""
    if manifest.version != str(version):
        note = f"is actually {manifest.version}"
    elif not note and manifest.changelog:
        note = manifest.changelog[0]
    return Listed(version, commit, manifest.num_samples, len(manifest.languages), note)
