"""The changelog: what a version changed, followed by the entries of earlier versions."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.release.compare import (
    ComparedVersion,
    Difference,
    UnreadableShardError,
    compare,
    version_on_disk,
)
from builder.release.lineage import release_sha256
from schemas.errors import PolysceneError
from schemas.manifest import ComparedWith, ManifestError, ReleaseManifest, read_manifest
from schemas.versions import parse_number

CHANGELOG_NAME = "CHANGELOG.md"
_TITLE = "# Changelog\n\n"
#: One and several events of a kind.
_KINDS = {
    "verdict": ("verdict", "verdicts"),
    "edit": ("edit", "edits"),
    "skip": ("skip", "skips"),
    "undo": ("undo", "undos"),
    "flag": ("flag", "flags"),
    "adjudicate": ("decision of a lead", "decisions of leads"),
}
_HEADING = re.compile(r"^## (\d+\.\d+\.\d+)(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The version that a changelog compares with.

    Args:
        version: Its rows.
        manifest_sha256: What it is known by.
        read_changelog: Gives its own changelog; None if it has none.
        published_in: OWNER/NAME; None if it is known to be in the workspace only.
        releases_dir: Where it and earlier releases are; None if it is on a Hub only.
    """

    version: ComparedVersion
    manifest_sha256: str
    read_changelog: Callable[[], str | None]
    published_in: str | None = None
    releases_dir: Path | None = None

    @property
    def manifest(self) -> ReleaseManifest:
        return self.version.manifest

    def compared_with(self) -> ComparedWith:
        """What the manifest says about it."""
        return ComparedWith(
            version=self.manifest.version,
            manifest_sha256=self.manifest_sha256,
            published_in=self.published_in,
        )


def baseline_on_disk(directory: Path, published_in: str | None = None) -> Baseline:
    """A release directory as the version to compare with."""

    def read_changelog() -> str | None:
        path = directory / CHANGELOG_NAME
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return Baseline(
        version_on_disk(directory, read_manifest(directory)),
        release_sha256(directory),
        read_changelog,
        published_in,
        directory.parent,
    )


def changelog_lines(
    manifest: ReleaseManifest,
    directory: Path,
    baseline: Baseline | None,
    dropped: Counter[str],
    notes: list[str],
) -> list[str]:
    """Compares the release in `directory` with an earlier version, in a few lines.

    Args:
        manifest: Of the release.
        directory: Its files.
        baseline: The earlier version; None for the first.
        dropped: Rows left out of the release, by reason.
        notes: Gets a line for the user if the earlier version cannot be compared.
    """
    if baseline is None:
        num_languages = len(manifest.languages)
        first = f"First version: {manifest.num_samples:,} samples in {num_languages} languages."
        return [first, *_review_lines(manifest, dropped)]
    old = baseline.manifest
    where = f"published in {baseline.published_in}" if baseline.published_in else "local"
    try:
        difference: Difference | str = compare(
            baseline.version, version_on_disk(directory, manifest)
        )
    except PolysceneError as exc:
        file = exc.path if isinstance(exc, UnreadableShardError) else "rows"
        difference = f"not compared row by row, since its {file} could not be read"
        notes.append(f"{exc} {manifest.version} is complete without it; its changelog says so.")
    summary = difference if isinstance(difference, str) else difference.summary()
    lines = [f"Against {old.version} ({where}): {summary}."]
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
    kinds = ", ".join(
        f"{num:,} {_KINDS.get(kind, (kind, kind))[num != 1]}"
        for kind, num in reviews.num_by_kind.items()
    )
    lines = [
        f"{reviews.num_events:,} review events{f' ({kinds})' if kinds else ''}. By them "
        f"{reviews.num_accepted:,} rows are accepted, {reviews.num_edited:,} edited and "
        f"{reviews.num_rejected:,} rejected."
    ]
    refused = {name: num for name, num in sorted(dropped.items()) if name.startswith("edit_")}
    if refused:
        reasons = ", ".join(f"{name} {num:,}" for name, num in refused.items())
        lines.append(
            f"Edited rows that did not pass the checks and are left out: {reasons}. "
            "Their ids are in `quality.json`."
        )
    return lines


def changelog_text(manifest: ReleaseManifest, baseline: Baseline | None) -> str:
    """CHANGELOG.md: this version's lines, then the earlier version's own changelog."""
    sections = [_section(manifest.version, manifest.changelog)]
    if baseline is not None:
        old = baseline.manifest
        text = (baseline.read_changelog() or "").removeprefix(_TITLE)
        if old.version not in _versions_in(text):
            sections += _missing_sections(baseline)
        sections += [text] if text else []
    return _TITLE + "\n".join(sections)


def restored_text(manifest: ReleaseManifest, current: str | None, restored: str | None) -> str:
    """CHANGELOG.md of a version that restores an earlier one.

    Versions that the restored one does not know are kept and marked as rolled back.

    Args:
        manifest: Of the restoring version.
        current: The changelog of the version before it.
        restored: The changelog of the restored version.
    """
    kept = (restored or "").removeprefix(_TITLE)
    known = _versions_in(kept)
    mark = f" (rolled back by {manifest.version})"
    sections = [_section(manifest.version, manifest.changelog)]
    for version, note, body in _sections_in(current or ""):
        if version not in known:
            is_marked = note.startswith(" (rolled back")
            sections.append(f"## {version}{note if is_marked else mark}{body.rstrip()}\n")
    return _TITLE + "\n".join([*sections, kept] if kept else sections)


def _missing_sections(baseline: Baseline) -> list[str]:
    """Sections that a changelog lacks: an earlier program's rollback added none.

    Such a version has the changelog of the one it restores, without its own
    entry and without those of the versions that it rolled back.
    """
    old = baseline.manifest
    if not old.restored_from:
        return [_section(old.version, old.changelog)]
    taken_back = f"Version {old.previous_version}, which came before it, is rolled back."
    sections = [_section(old.version, [*old.changelog, taken_back])]
    mark = f" (rolled back by {old.version})"
    for number in _numbers_between(baseline.releases_dir, old.restored_from, old.version):
        try:
            manifest = read_manifest(Path(baseline.releases_dir or ".") / number)
            sections.append(_section(f"{number}{mark}", manifest.changelog))
        except ManifestError:
            continue
    return sections


def _numbers_between(releases_dir: Path | None, first: str, last: str) -> list[str]:
    """Numbers of the releases in a directory between two versions, the highest first."""
    low, high = parse_number(first), parse_number(last)
    if releases_dir is None or low is None or high is None:
        return []
    names = [path.name for path in releases_dir.iterdir() if path.is_dir()]
    numbers = {name: parse_number(name) for name in names}
    between = {name: number for name, number in numbers.items() if number and low < number < high}
    return sorted(between, key=lambda name: between[name], reverse=True)


def _section(version: str, lines: Sequence[str]) -> str:
    return f"## {version}\n\n" + "".join(f"- {line}\n" for line in lines)


def _versions_in(text: str) -> set[str]:
    return {version for version, _, _ in _sections_in(text)}


def _sections_in(text: str) -> list[tuple[str, str, str]]:
    """(version, rest of its heading, what follows) of every section."""
    found = list(_HEADING.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    return [
        (match[1], match[2], text[match.end() : end])
        for match, end in zip(found, ends, strict=True)
    ]
