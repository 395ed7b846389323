"""Plots of the card at the width at which the Hub shows them."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops

from builder.release.about.counts import SCORES, ReleaseCounts
from builder.release.about.plots import draw_plots
from schemas.vocabulary import CELLS, LANGUAGES

CARD_WIDTH = 780
NAMES = ["coverage.png", "languages.png", "scores.png"]


def counts_of(num_languages: int, rows: int) -> ReleaseCounts:
    counts = ReleaseCounts()
    for number, language in enumerate(list(LANGUAGES)[:num_languages]):
        for cell in CELLS[number % 3 :]:
            counts.slots[cell.task_type, cell.modality, language] = max(1, rows // (number + 1))
    for name in SCORES:
        counts.scores[name, 5] = rows
    return counts


def ink(picture: Image.Image) -> tuple[int, int, int, int]:
    box = ImageChops.invert(picture.convert("L")).getbbox()
    assert box is not None
    return box


@pytest.mark.parametrize("num_languages", [1, 6, 13, 25, 49, 92])
@pytest.mark.parametrize("rows", [1, 250_000])
def test_nothing_is_cut_off_at_any_number_of_languages(
    tmp_path: Path, num_languages: int, rows: int
) -> None:
    assert draw_plots(tmp_path, counts_of(num_languages, rows)) == NAMES
    for name in NAMES:
        with Image.open(tmp_path / name) as picture:
            assert picture.width == 2 * CARD_WIDTH
            left, top, right, bottom = ink(picture)
            assert left >= 8 and top >= 8
            assert right <= picture.width - 8 and bottom <= picture.height - 8


def test_every_language_has_a_line_of_its_own(tmp_path: Path) -> None:
    """Lines of letters, counted at the card's width, so that smaller letters would merge."""
    draw_plots(tmp_path, counts_of(92, 250_000))
    with Image.open(tmp_path / "languages.png") as picture:
        shown = picture.resize((CARD_WIDTH, picture.height // 2), Image.Resampling.LANCZOS)
    is_ink = [255 * (value < 160) for value in range(256)]
    codes = shown.crop((10, 48, 34, shown.height)).convert("L").point(is_ink)
    rows = [any(codes.crop((0, y, 24, y + 1)).get_flattened_data()) for y in range(codes.height)]
    starts = [y for y, has_ink in enumerate(rows) if has_ink and (y == 0 or not rows[y - 1])]
    lines = [y for y in starts if sum(rows[y : y + 14]) >= 5]
    assert len(lines) == 31  # of three columns for 92
