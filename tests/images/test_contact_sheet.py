"""`images neighbours`: what people look at before anything is paid for."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.photographs import in_other_light, labelled
from benchmarks.subcategories import filled_store, same_subcategory_rates
from tests.images.in_process import builder
from tests.images.photos import photos


@pytest.mark.usefixtures("one_thread")
def test_photos_get_a_sheet_and_copies_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, photo in enumerate(photos()[:15]):
        photo.resize((200, 160)).save(folder / f"{number:02}.jpg", quality=90)
    photos()[0].resize((120, 96)).save(folder / "zz-smaller.jpg", quality=60)
    workspace, sheet = tmp_path / "w", tmp_path / "sheet.png"
    added = builder("images", "add", folder, "-w", workspace)
    assert added.returncode == 0, added.stderr
    assert "copies: " in added.stderr
    listed = builder("images", "list", "-w", workspace, "--limit", 99).stdout.splitlines()
    group_of = {line.split("\t")[5]: line.split("\t")[4] for line in listed}
    assert group_of["zz-smaller.jpg"] == group_of["00.jpg"] != group_of["06.jpg"]
    words = ("--sheet", sheet, "--rows", 5)
    drawn = builder("images", "neighbours", "-w", workspace, *words)
    assert drawn.returncode == 0, drawn.stderr
    assert "embedder efficientnet-lite0" in drawn.stderr
    with Image.open(sheet) as image:
        assert image.height > 5 * 144
        colours = image.convert("RGB").getcolors(2**20)
        assert colours is None or len(colours) > 10_000  # photographs, not placeholders


def test_the_descriptor_on_photos_is_warned_of_before_anything_is_paid(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        photos()[number].resize((96, 96)).save(folder / f"{number}.png")
    config = tmp_path / "build.yaml"
    config.write_text("num_samples: 40\nimages: {embedder: descriptor}\n", encoding="utf-8")
    workspace = tmp_path / "w"
    builder("images", "add", folder, "-w", workspace, "-c", config)
    planned = builder("plan", "-w", workspace, "-c", config)
    assert planned.returncode == 0, planned.stderr
    assert "warning:" in planned.stdout
    assert "images.embedder" in planned.stdout


@pytest.mark.usefixtures("one_thread")
def test_positives_of_photos_show_what_their_query_shows(tmp_path: Path) -> None:
    """By default, on photographs in different light; the descriptor picks by colour."""
    pictures, labels = labelled(None)
    chosen = range(0, len(pictures), 3)  # three pieces of each photograph
    pictures = [in_other_light(pictures[place].resize((160, 120)), place) for place in chosen]
    store = filled_store(tmp_path / "images", pictures, [labels[place] for place in chosen])
    with store:
        rates = same_subcategory_rates(store, "auto", num_neighbours=2)
    assert rates["positives"] >= 0.5 > 2 * rates["chance"]
