"""`images neighbours`: what people look at before anything is paid for."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.images.photos import photos

ROOT = Path(__file__).parents[2]


def builder(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builder", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_photos_get_a_sheet_and_copies_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, photo in enumerate(photos()):
        photo.resize((200, 160)).save(folder / f"{number:02}.jpg", quality=90)
    photos()[0].resize((120, 96)).save(folder / "zz-smaller.jpg", quality=60)
    workspace, sheet = tmp_path / "w", tmp_path / "sheet.png"
    config = tmp_path / "build.yaml"
    config.write_text("images: {embedder: auto}\n", encoding="utf-8")
    added = builder("images", "add", folder, "-w", workspace, "-c", config)
    assert added.returncode == 0, added.stderr
    assert "copies: " in added.stderr
    listed = builder("images", "list", "-w", workspace, "--limit", 99).stdout.splitlines()
    group_of = {line.split("\t")[5]: line.split("\t")[4] for line in listed}
    assert group_of["zz-smaller.jpg"] == group_of["00.jpg"] != group_of["06.jpg"]
    words = ("--sheet", sheet, "--rows", 5, "-c", config)
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
