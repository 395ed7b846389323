"""Sample rows in the card: which ones, their pictures, and the direction of their texts."""

import html
import re
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from PIL import Image

from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.release import Version, open_inputs, release
from builder.release.about.samples import write_samples
from builder.workspace import Workspace
from schemas.pictures import read_picture
from schemas.sample import Sample
from schemas.vocabulary import LANGUAGES
from tests.release.small_workspace import kept_samples, small_workspace


def released(workspace: Workspace) -> tuple[Path, list[str]]:
    """A release's directory, and the HTML of the samples in its card."""
    with open_inputs(workspace, None) as inputs:
        directory = release(inputs, Version.parse("0.1.0"), workspace.releases_dir).directory
    text = (directory / "README.md").read_text(encoding="utf-8")
    return directory, re.findall(r"<table>.*?</table>", text, re.S)


def row_of(table: str, rows: list[Sample]) -> Sample:
    """The sample that a table shows, by its texts (made rows have a text each)."""
    texts = {html.unescape(text) for text in re.findall(r"<p [^>]*>(.*?)</p>", table)}
    found = [
        row
        for row in rows
        if texts == {t for t in (row.query_text, row.positive_text, *row.negative_texts) if t}
    ]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path, list[str]]:
    workspace = small_workspace(tmp_path_factory.mktemp("samples") / "ws", num_rows=240)
    return workspace, *released(workspace)


def test_three_rows_of_three_tasks_stand_in_the_card_one_right_to_left(
    shown: tuple[Workspace, Path, list[str]],
) -> None:
    workspace, _, tables = shown
    rows = [row_of(table, kept_samples(workspace)) for table in tables]
    assert len({row.id for row in rows}) == len({row.task_type for row in rows}) == 3
    assert [LANGUAGES[row.language].is_rtl for row in rows] == [False, True, False]
    assert rows[0].language == "en"
    for table, row in zip(tables, rows, strict=True):
        directions = set(re.findall(r'dir="(\w+)"', table))
        assert directions == {"rtl" if row.language == "ar" else "ltr"}


def test_pictures_are_small_files_beside_the_card(
    shown: tuple[Workspace, Path, list[str]],
) -> None:
    workspace, directory, tables = shown
    manifest = orjson.loads((directory / "manifest.json").read_bytes())
    listed = {entry["path"] for entry in manifest["files"]}
    with ImageStore(workspace.images_dir) as store:
        for table in tables:
            row = row_of(table, kept_samples(workspace))
            wanted = {
                "query": row.query_image,
                "positive": row.positive_image,
                "negative": row.negative_images[0],
            }
            paths = re.findall(r'<img src="([^"]+)"', table)
            assert len(paths) == sum(sha256 is not None for sha256 in wanted.values()) > 0
            for path in paths:
                assert path in listed
                picture = Image.open(directory / path)
                role = path.split("-")[1].removesuffix(".jpg")
                original = read_picture(store.read(wanted[role] or "").data)
                assert picture.size == original.size
                means = [image.resize((1, 1)).getpixel((0, 0)) for image in (picture, original)]
                assert all(abs(a - b) < 8 for a, b in zip(*means, strict=True))
    on_disk = {path.relative_to(directory).as_posix() for path in directory.glob("samples/*")}
    assert on_disk == {name for name in listed if name.startswith("samples/")}


def test_without_right_to_left_or_english_there_are_still_three(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "ws", num_rows=240)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute("DELETE FROM outcome WHERE language IN ('ar', 'en')")
    _, tables = released(workspace)
    assert len({row_of(table, kept_samples(workspace)).id for table in tables}) == 3


def test_a_single_row_is_shown_once(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "ws", num_rows=1)
    assert len(released(workspace)[1]) == 1


class OneImage:
    """An image source whose every image has these bytes, whatever they are."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def records_of(self, hashes: Collection[str]) -> Any:
        return {name: SimpleNamespace(sha256=name, num_bytes=len(self._data)) for name in hashes}

    def read_into(self, record: object, into: memoryview) -> None:
        into[:] = self._data


def a_row(**fields: object) -> bytes:
    row = {
        "language": "fa",
        "task_type": "retrieval",
        "modality": "IT->T",
        "instruction": "Find it.",
        "query_text": "می\u200cخواهم",
        "query_image": "a" * 64,
        "positive_text": "کتاب",
        "positive_image": None,
        "negative_texts": ["x"],
        "negative_images": [None],
    }
    return orjson.dumps(row | fields)


def test_a_large_picture_is_reduced_and_joiners_stay(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500), "red").save(tmp_path / "large.png")
    source = OneImage((tmp_path / "large.png").read_bytes())
    (table,) = write_samples(tmp_path, [a_row()], source)
    with Image.open(tmp_path / "samples" / "1-query.jpg") as picture:
        assert picture.size == (224, 112)
    assert "می\u200cخواهم" in table


def test_a_picture_that_cannot_be_decoded_is_named_in_its_place(tmp_path: Path) -> None:
    (table,) = write_samples(tmp_path, [a_row()], OneImage(b"not a picture"))
    assert "cannot be shown" in table and "<img" not in table
    assert not (tmp_path / "samples").exists()


@pytest.mark.parametrize(
    "text",
    ["</td></tr></table><script>x</script>", '" onload="x', "a\n\n# heading", "&lt;b&gt;", "**b**"],
)
def test_a_text_never_leaves_its_cell(tmp_path: Path, text: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    source = OneImage((tmp_path / "p.png").read_bytes())
    fields = {"query_text": text, "positive_text": text, "negative_texts": [text]}
    (table,) = write_samples(tmp_path, [a_row(instruction=text, **fields)], source)
    assert table.count("</table>") == 1 and "\n\n" not in table and "<script" not in table
    shown = re.findall(r"<p [^>]*>(.*?)</p>", table)
    assert [html.unescape(part) for part in shown] == [" ".join(text.split())] * 3
    elements = {"table", "tr", "th", "td", "br", "em", "p", "img"}
    assert set(re.findall(r"</?(\w+)", table)) == elements
