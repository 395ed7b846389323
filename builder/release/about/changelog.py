"""The changelog: what a version changed, followed by the entries of earlier versions."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from builder.release.compare import compare, version_on_disk
from builder.release.shards import Previous
from schemas.manifest import ReleaseManifest, read_manifest

_HEADING = "# Changelog\n\n"
_NAME = "CHANGELOG.md"


def changelog_lines(
    manifest: ReleaseManifest, directory: Path, before: Previous | None, dropped: Counter[str]
) -> list[str]:
    """Compares the release in `directory` with the previous one, in a few lines."""
    if before is None:
        num_languages = len(manifest.languages)
        first = f"First version: {manifest.num_samples:,} samples in {num_languages} languages."
        return [first, *_review_lines(manifest, dropped)]
    old = read_manifest(before.directory)
    difference = compare(
        version_on_disk(before.directory, old), version_on_disk(directory, manifest)
    )
    lines = [f"Against {old.version}: {difference.summary()}."]
    added = sorted(set(manifest.languages) - set(old.languages))
    gone = sorted(set(old.languages) - set(manifest.languages))
    if added:
        lines.append(f"New languages: {', '.join(added)}.")
    if gone:
        lines.append(f"Languages no longer in it: {', '.join(gone)}.")
    if dropped["surplus"]:
        lines.append(f"{dropped['surplus']:,} rows above the planned shares are left out.")
    return [*lines, *_review_lines(manifest, dropped)]


def _review_lines(manifest: ReleaseManifest, dropped: Counter[str]) -> list[str]:
    reviews = manifest.reviews
    if not reviews.num_events:
        return []
    lines = [
        f"{reviews.num_events:,} review events: {reviews.num_accepted:,} rows accepted, "
        f"{reviews.num_edited:,} edited, {reviews.num_rejected:,} rejected."
    ]
    refused = {name: num for name, num in sorted(dropped.items()) if name.startswith("edit_")}
    if refused:
        reasons = ", ".join(f"{name} {num:,}" for name, num in refused.items())
        lines.append(
            f"Edited rows that did not pass the checks and are left out: {reasons}. "
            "Their ids are in `quality.json`."
        )
    return lines


def changelog_text(manifest: ReleaseManifest, before: Previous | None) -> str:
    """CHANGELOG.md: this version's lines, then the earlier release's own changelog.

    A release that restores another one has that one's changelog, which lacks
    the restoring release; its lines are inserted.
    """
    sections = [_section(manifest.version, manifest.changelog)]
    if before is not None:
        old = read_manifest(before.directory)
        if old.restored_from:
            taken_back = f"Version {old.previous_version}, which came before it, is taken back."
            sections.append(_section(old.version, [*old.changelog, taken_back]))
        if (before.directory / _NAME).exists():
            text = (before.directory / _NAME).read_text(encoding="utf-8")
            sections.append(text.removeprefix(_HEADING))
    return _HEADING + "\n".join(sections)


def _section(version: str, lines: Sequence[str]) -> str:
    return f"## {version}\n\n" + "".join(f"- {line}\n" for line in lines)
