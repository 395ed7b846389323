"""Writes what goes with an export's data: a README that loads it, and the licences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from builder.publish.exports.target import Source
from builder.release.about.licences import LICENCE_FILE
from builder.release.about.markdown import table_text
from schemas.manifest import ReleaseManifest

#: Pattern of a split's files, by config and split.
DataFiles = dict[str, dict[str, str]]

_TERMS = ("license", "license_name", "license_link")


def write_readme(directory: Path, source: Source, files: DataFiles, note: str) -> int:
    """Writes README.md and LICENSE.md; returns how many files that is.

    Args:
        directory: The export's.
        source: The release, whose terms go with its texts and images.
        files: For `load_dataset`, by config and split.
        note: The layout of the export, to follow "Version 0.1.0 of NAME".
    """
    manifest = source.manifest
    configs = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": path} for split, path in splits.items()],
        }
        for name, splits in files.items()
    ]
    head = yaml.safe_dump(
        {**_terms(source.directory), "configs": configs}, sort_keys=False, allow_unicode=True
    )
    text = f"Version {manifest.version} of {manifest.name} {note}\n\nTerms: {LICENCE_FILE}.\n"
    _write(directory / "README.md", f"---\n{head}---\n\n{text}")
    licences = source.directory / LICENCE_FILE
    if licences.exists():
        _write(directory / LICENCE_FILE, licences.read_text(encoding="utf-8"))
    else:
        _write(directory / LICENCE_FILE, _from_manifest(manifest))
    return 2


def _terms(release: Path) -> dict[str, Any]:
    """The licence as the release's card states it."""
    card = (release / "README.md").read_text(encoding="utf-8")
    head: object = yaml.safe_load(card.split("---\n", 2)[1])
    known = cast(Mapping[str, Any], head) if isinstance(head, dict) else {}
    found = {name: known[name] for name in _TERMS if name in known}
    return found | {"license_link": LICENCE_FILE} if "license_link" in found else found


def _from_manifest(manifest: ReleaseManifest) -> str:
    """For a release made before releases had a licence file."""
    rows = [f"| {table_text(name)} | {num:,} |" for name, num in manifest.licences.items()]
    return "\n".join(
        [
            f"# Licences of {manifest.name}",
            "",
            "Column `images` of config `provenance` names source and licence of every image.",
            "",
            "| licence | images |",
            "|---|---:|",
            *rows,
            "",
        ]
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
