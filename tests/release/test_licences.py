"""Whose work a release is, and on what terms: sources, licences, and where they are said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder.config import load_config, save_config
from builder.images.pictograms.corpus import STYLES, bundled_images
from builder.ledger.ledger import Ledger
from builder.release import Version, open_inputs, release
from builder.release.about.counts import _origin
from builder.release.about.licences import (
    HUB_LICENCES,
    Terms,
    hub_licence,
    licence_head,
    licence_names,
)
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from tests.release.small_workspace import small_workspace


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("npm:@iconify-json/noto@1.2.9#1f34e", "npm:@iconify-json/noto@1.2.9"),
        ("npm:flag-icons@7.2.3#1f1eb-1f1f7", "npm:flag-icons@7.2.3"),
        ("https://live.example.org/65535/1.jpg?size=b#top", "live.example.org"),
        ("https://[no-url/1.jpg", "[no-url"),
        ("https://user:secret@images.example.org:8080/1.jpg", "images.example.org:8080"),
        ("laion/pictures/train#17", "laion/pictures/train"),
        ("photos-0001.parquet#4", "photos-0001.parquet"),
        ("/home/somebody/pictures/train#17", "pictures/train"),
        ("holiday/2024/#1.jpg", "holiday"),
        ("#1.jpg", "files"),
    ],
)
def test_a_source_is_named_as_its_authors_are_found(source: str, origin: str) -> None:
    assert _origin(source) == origin


def test_every_bundled_drawing_names_its_package_and_version() -> None:
    origins = {_origin(image.source) for image in bundled_images()}
    assert origins == {style.source for style in STYLES.values()}


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("MIT", "mit"),
        ("CC-BY-NC-SA-4.0", "cc-by-nc-sa-4.0"),
        ("CC BY-SA 3.0", "cc-by-sa-3.0"),
        ("OFL-1.1", "ofl-1.1"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("ODbL-1.0", "odbl"),
        ("https://creativecommons.org/licenses/by-nc/2.0/", "cc-by-nc-2.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("https://creativecommons.org/licenses/by-sa/2.0/", "other"),
        ("Unicode-3.0", "other"),
        ("unknown", "unknown"),
        ("ask the photographer", "other"),
    ],
)
def test_licences_go_by_the_hubs_identifiers(name: str, identifier: str) -> None:
    assert hub_licence(name) == identifier
    assert identifier == "other" or identifier in HUB_LICENCES


def terms(texts: str, *images: str) -> list[Terms]:
    return [
        Terms("texts", "a-model", texts, 10),
        *(Terms("images", f"source-{number}", name, 5) for number, name in enumerate(images)),
    ]


@pytest.mark.parametrize(
    ("entries", "licence", "name"),
    [
        (terms("mit", "MIT"), "mit", None),
        (terms("mit", "CC-BY-NC-4.0"), ["cc-by-nc-4.0", "mit", "other"], "by-source"),
        (terms("other", "CC0-1.0"), ["cc0-1.0", "other"], "by-source"),
        (terms("Unicode-3.0", "MIT"), ["mit", "other"], "unicode-3.0"),
        (terms("other"), "other", "by-source"),
        (terms("mit", "unknown"), ["mit", "other", "unknown"], "by-source"),
        (terms("My Own <b>Terms</b>", "X-1"), "other", "by-source"),
        (terms("My Own <b>Terms</b>"), "other", "my-own-b-terms-b"),
    ],
)
def test_the_cards_licence_is_that_of_texts_and_images_together(
    entries: Sequence[Terms], licence: object, name: str | None
) -> None:
    expected: dict[str, Any] = {"license": licence}
    if name:
        expected |= {"license_name": name, "license_link": "LICENSE.md"}
    assert licence_head(entries) == expected


def test_a_licence_without_a_name_leads_to_the_file_that_tells() -> None:
    assert licence_names(terms("other", "MIT", "unknown")) == ["MIT", "LICENSE.md"]


def made(workspace: Workspace) -> tuple[Path, dict[str, Any]]:
    """A release, and the metadata of its card."""
    with open_inputs(workspace, None) as inputs:
        directory = release(inputs, Version.parse("0.1.0"), workspace.releases_dir).directory
    text = (directory / "README.md").read_text(encoding="utf-8")
    return directory, yaml.safe_load(text.split("---\n")[1])


def provenance_with(workspace: Workspace, old: str, new: str) -> None:
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute(
            "UPDATE outcome SET provenance = CAST(replace(CAST(provenance AS TEXT), ?, ?) AS BLOB) "
            "WHERE provenance IS NOT NULL",
            (old, new),
        )


def test_a_release_holds_a_licence_file_with_every_source(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "ws")
    provenance_with(workspace, '"licence":"MIT"', '"licence":"CC-BY-NC-4.0"')
    config = load_config(workspace.config_path)
    config.release.licence = "mit"
    save_config(config, workspace.config_path)
    directory, head = made(workspace)
    assert head["license"] == ["cc-by-nc-4.0", "mit", "other"]
    assert head["license_link"] == "LICENSE.md"
    text = (directory / "LICENSE.md").read_text(encoding="utf-8")
    manifest = read_manifest(directory)
    num_images = manifest.licences["CC-BY-NC-4.0"]
    assert f"| images | set | CC-BY-NC-4.0 | {num_images} |" in text
    assert f"| texts | test-teacher | mit | {manifest.num_samples} |" in text
    assert "LICENSE.md" in {entry.path for entry in manifest.files}


def test_pictograms_and_their_words_bring_their_notices_along(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "ws")
    provenance_with(workspace, "test-teacher", "lexicon-teacher")
    provenance_with(workspace, '"source":"set/', '"source":"npm:flag-icons@7.2.3#')
    directory, head = made(workspace)
    assert (head["license"], head["license_name"]) == (["mit", "other"], "unicode-3.0")
    text = (directory / "LICENSE.md").read_text(encoding="utf-8")
    assert "| texts | lexicon-teacher | Unicode-3.0 |" in text
    for notice in ("UNICODE LICENSE V3", "Copyright (c) 2013 Panayiotis Lipiridis"):
        assert notice in text
    assert "Apache License" not in text


def test_hostile_names_are_no_markup_in_the_licence_file(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "ws")
    hostile = "<img src=x>|\\\\[a](b)"
    provenance_with(workspace, '"licence":"MIT"', f'"licence":"{hostile}"')
    directory, _ = made(workspace)
    for name in ("LICENSE.md", "README.md"):
        text = (directory / name).read_text(encoding="utf-8").split("---\n", 2)[-1]
        assert "<img src=x" not in text
        assert "&lt;img src=x&gt;\\|\\\\\\[a\\](b)" in text
