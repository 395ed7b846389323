"""The plots of a card, drawn with Pillow so that the same figures give the same bytes.

A card is about 780 px wide on the Hub. Lengths here are in pixels at that
width; the files have twice as many, for sharp screens.
"""

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from builder.release.about.counts import SCORES, ReleaseCounts
from schemas.vocabulary import CELLS, CONFIG_OF_TASK, LANGUAGES

_INK = (38, 38, 46)
_FAINT = (214, 216, 222)
_PAPER = (255, 255, 255)
_BAR = (47, 107, 160)
_PALETTE = ((47, 107, 160), (217, 119, 54), (78, 150, 96), (150, 90, 160))
#: Two ends of the heat map, light to dark.
_COLD, _HOT = (235, 243, 250), (12, 60, 110)

_WIDTH = 780
_MARGIN = 16
_SCALE = 2
#: Smallest size of letters.
_SMALL = 12
_LINE = 18
_ROWS_PER_COLUMN = 24

Colour = tuple[int, int, int]


def draw_plots(directory: Path, counts: ReleaseCounts) -> list[str]:
    """Draws every plot of a release; returns their file names."""
    directory.mkdir(parents=True, exist_ok=True)
    plots = {
        "coverage.png": _coverage(counts),
        "languages.png": _languages(counts.languages()),
        "scores.png": _scores(counts),
    }
    for name, plot in plots.items():
        plot.save(directory / name)
    return sorted(plots)


class _Sheet:
    """A white sheet as wide as a card, with a title."""

    def __init__(self, height: int, title: str) -> None:
        size = (_WIDTH * _SCALE, height * _SCALE)
        self._image = Image.new("RGB", size, _PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self.text(_MARGIN, 12, title, size=20)

    def text(
        self, x: float, y: float, text: str, *, size: int = _SMALL, anchor: str = "la"
    ) -> None:
        position = (x * _SCALE, y * _SCALE)
        self._draw.text(position, text, fill=_INK, font=_font(size * _SCALE), anchor=anchor)

    def upright_text(self, x: float, bottom: float, text: str) -> None:
        """Writes from the bottom up, beginning at (x, bottom)."""
        font = _font(_SMALL * _SCALE)
        _, _, width, height = map(int, font.getbbox(text))
        label = Image.new("RGB", (width, height), _PAPER)
        ImageDraw.Draw(label).text((0, 0), text, fill=_INK, font=font)
        turned = label.transpose(Image.Transpose.ROTATE_90)
        self._image.paste(turned, (round(x * _SCALE), round(bottom * _SCALE) - width))

    def box(
        self, x: float, y: float, width: float, height: float, fill: Colour, *, framed: bool = False
    ) -> None:
        corners = [side * _SCALE for side in (x, y, x + width, y + height)]
        outline = _FAINT if framed else None
        if corners[2] > corners[0] and corners[3] > corners[1]:
            self._draw.rectangle(corners, fill=fill, outline=outline, width=_SCALE)

    def save(self, path: Path) -> None:
        self._image.save(path, format="PNG", optimize=False, compress_level=6)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _coverage(counts: ReleaseCounts) -> _Sheet:
    """Languages down, in columns; cells across; the darker, the more rows, logarithmically."""
    codes = sorted(counts.languages())
    starts = range(0, len(codes), _ROWS_PER_COLUMN)
    blocks = [codes[start : start + _ROWS_PER_COLUMN] for start in starts]
    names = [f"{CONFIG_OF_TASK[cell.task_type]} {cell.modality}" for cell in CELLS]
    code, gap, top = 30, 20, 156
    wide = (_WIDTH - 2 * _MARGIN - gap * (len(blocks) - 1)) // max(1, len(blocks))
    side = min(28, (wide - code) // len(CELLS))
    bottom = top + _LINE * max(map(len, blocks), default=0) + 12
    sheet = _Sheet(bottom + 50, "Rows by language and cell")
    most = max(counts.slots.values(), default=1)
    for number, languages in enumerate(blocks):
        left = _MARGIN + number * (code + side * len(CELLS) + gap) + code
        for column, name in enumerate(names):
            sheet.upright_text(left + column * side + (side - _SMALL) / 2 - 1, top - 6, name)
        for row, language in enumerate(languages):
            y = top + row * _LINE
            sheet.text(left - 6, y, language, anchor="ra")
            for column, cell in enumerate(CELLS):
                num = counts.slots[cell.task_type, cell.modality, language]
                colour = _heat(log(num) / log(max(2, most))) if num else _PAPER
                sheet.box(left + column * side, y, side - 2, _LINE - 3, colour, framed=True)
    for step in range(100):
        sheet.box(_MARGIN + 2 * step, bottom, 2, 12, _heat(step / 99))
    sheet.text(_MARGIN, bottom + 16, "1")
    sheet.text(_MARGIN + 200, bottom + 16, f"{most:,} rows", anchor="ra")
    sheet.text(_MARGIN + 220, bottom - 1, "white: none (logarithmic scale)")
    return sheet


def _languages(counts: Mapping[str, int]) -> _Sheet:
    """A bar for each language, the most common first, down one to three columns."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    num_columns = min(3, -(-len(ordered) // 12)) or 1
    num_rows = -(-len(ordered) // num_columns)
    sheet = _Sheet(56 + _LINE * num_rows + 12, f"Rows by language ({len(ordered)})")
    most = max(counts.values(), default=1)
    wide = (_WIDTH - 2 * _MARGIN) // num_columns
    label, gap = 122, 16
    figure = 8 + 8 * len(f"{most:,}")
    longest = wide - label - figure - gap
    for index, (language, num) in enumerate(ordered):
        column, row = divmod(index, num_rows)
        x, y = _MARGIN + column * wide, 52 + row * _LINE
        sheet.text(x, y, language)
        sheet.text(x + 26, y, LANGUAGES[language].name if language in LANGUAGES else "")
        sheet.box(x + label, y + 2, longest * num / most, _LINE - 6, _BAR)
        sheet.text(x + label + longest * num / most + 6, y, f"{num:,}")
    return sheet


def _scores(counts: ReleaseCounts) -> _Sheet:
    left, top, height = 76, 88, 220
    width = (_WIDTH - left - _MARGIN) // 5
    sheet = _Sheet(top + height + 44, "The teacher's own scores")
    table = counts.score_table()
    most = max((num for scores in table.values() for num in scores.values()), default=0) or 1
    for num in _ticks(most):
        y = top + height - height * num / most
        sheet.box(left - 4, y, _WIDTH - _MARGIN - left + 4, 0.5, _FAINT)
        sheet.text(left - 8, y - 8, f"{num:,}", anchor="ra")
    for position, name in enumerate(SCORES):
        sheet.box(left + 130 * position, 54, 12, 12, _PALETTE[position])
        sheet.text(left + 130 * position + 18, 51, name, size=14)
    for score in range(1, 6):
        x = left + width * (score - 1)
        for position, name in enumerate(SCORES):
            bar = height * table[name][str(score)] / most
            sheet.box(x + 26 * position + 16, top + height - bar, 22, bar, _PALETTE[position])
        sheet.text(x + 16 + 26 * 2 - 2, top + height + 8, str(score), size=14, anchor="ma")
    return sheet


def _ticks(most: int) -> Sequence[int]:
    step = 1
    while most / step > 5:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return range(0, most + 1, step)


def _heat(share: float) -> Colour:
    red, green, blue = (
        round(cold + (hot - cold) * share) for cold, hot in zip(_COLD, _HOT, strict=True)
    )
    return red, green, blue
