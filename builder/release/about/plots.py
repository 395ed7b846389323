"""The plots of a card, drawn with Pillow so that the same figures give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from builder.release.about.counts import SCORES, ReleaseCounts
from schemas.vocabulary import CELLS, CONFIG_OF_TASK

_INK = (38, 38, 46)
_FAINT = (214, 216, 222)
_PAPER = (255, 255, 255)
_BAR = (47, 107, 160)
_PALETTE = ((47, 107, 160), (217, 119, 54), (78, 150, 96), (150, 90, 160))
#: Two ends of the heat map, light to dark.
_COLD, _HOT = (235, 243, 250), (12, 60, 110)


def draw_plots(directory: Path, counts: ReleaseCounts) -> list[str]:
    """Draws every plot of a release; returns their file names."""
    directory.mkdir(parents=True, exist_ok=True)
    plots = {
        "coverage.png": _coverage(counts),
        "languages.png": _bars("Rows by language", counts.languages()),
        "scores.png": _scores(counts),
    }
    for name, plot in plots.items():
        plot.save(directory / name, format="PNG", optimize=False, compress_level=6)
    return sorted(plots)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _canvas(width: int, height: int, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((16, 12), title, fill=_INK, font=_font(20))
    return image, draw


def _coverage(counts: ReleaseCounts) -> Image.Image:
    """Languages across, cells down; the darker, the more rows, on a root scale."""
    languages = sorted(counts.languages())
    side, left, top = 14, 190, 76
    image, draw = _canvas(
        max(480, left + side * len(languages) + 20),
        top + side * len(CELLS) + 60,
        "Rows by cell and language",
    )
    most = max(counts.slots.values(), default=1)
    small = _font(11)
    for row, cell in enumerate(CELLS):
        y = top + row * side
        name = f"{CONFIG_OF_TASK[cell.task_type]} {cell.modality}"
        draw.text((16, y), name, fill=_INK, font=small)
        for column, language in enumerate(languages):
            num = counts.slots[cell.task_type, cell.modality, language]
            x = left + column * side
            box = (x, y, x + side - 2, y + side - 2)
            draw.rectangle(box, fill=_heat((num / most) ** 0.5) if num else _PAPER, outline=_FAINT)
    for column, language in enumerate(languages):
        position = (left + column * side, top - 18 - 12 * (column % 2))
        draw.text(position, language, fill=_INK, font=_font(10))
    bottom = top + side * len(CELLS) + 16
    for step in range(100):
        x = left + 2 * step
        draw.rectangle((x, bottom, x + 1, bottom + 10), fill=_heat(step / 99))
    draw.text((left, bottom + 14), "1", fill=_INK, font=small)
    draw.text((left + 200, bottom + 14), f"{most:,}", fill=_INK, font=small, anchor="ra")
    return image


def _bars(title: str, counts: Mapping[str, int]) -> Image.Image:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    side, left, top, height = 14, 70, 56, 220
    image, draw = _canvas(
        max(480, left + side * len(ordered) + 20), top + height + 50, f"{title} ({len(ordered)})"
    )
    most = max(counts.values(), default=1)
    _axis(draw, left, top, height, image.width - 20, most)
    for column, (name, num) in enumerate(ordered):
        x = left + column * side
        draw.rectangle((x, top + height - height * num / most, x + 10, top + height), fill=_BAR)
        position = (x, top + height + 6 + 12 * (column % 2))
        draw.text(position, name, fill=_INK, font=_font(10))
    return image


def _scores(counts: ReleaseCounts) -> Image.Image:
    left, top, height, width = 70, 84, 220, 118
    image, draw = _canvas(left + width * 5 + 20, top + height + 40, "The teacher's own scores")
    table = counts.score_table()
    most = max((num for scores in table.values() for num in scores.values()), default=0) or 1
    _axis(draw, left, top, height, image.width - 20, most)
    for position, name in enumerate(SCORES):
        _legend(draw, left + 130 * position, 52, _PALETTE[position], name)
        for score in range(1, 6):
            x = left + width * (score - 1) + 22 * position + 10
            num = table[name][str(score)]
            box = (x, top + height - height * num / most, x + 18, top + height)
            draw.rectangle(box, fill=_PALETTE[position])
    for score in range(1, 6):
        position = (left + width * (score - 1) + 50, top + height + 8)
        draw.text(position, str(score), fill=_INK, font=_font(14))
    return image


def _legend(
    draw: ImageDraw.ImageDraw, x: int, y: int, colour: tuple[int, int, int], name: str
) -> None:
    draw.rectangle((x, y, x + 12, y + 12), fill=colour)
    draw.text((x + 18, y - 1), name, fill=_INK, font=_font(13))


def _axis(
    draw: ImageDraw.ImageDraw, left: int, top: int, height: int, right: int, most: int
) -> None:
    for num in _ticks(most):
        y = top + height - height * num / most
        draw.line((left - 4, y, right, y), fill=_FAINT)
        draw.text((left - 8, y - 7), f"{num:,}", fill=_INK, font=_font(11), anchor="ra")


def _ticks(most: int) -> Sequence[int]:
    step = 1
    while most / step > 5:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return range(0, most + 1, step)


def _heat(share: float) -> tuple[int, int, int]:
    red, green, blue = (
        round(cold + (hot - cold) * share) for cold, hot in zip(_COLD, _HOT, strict=True)
    )
    return red, green, blue
