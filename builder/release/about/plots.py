"""The plots of a card, drawn with Pillow so that the same figures give the same bytes."""

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any

from builder.release.about.counts import SCORES, ReleaseCounts
from builder.release.about.criteria_plots import draw_alignment, draw_funnel, draw_score_changes
from builder.release.about.sheet import (
    BAR,
    FAINT,
    LINE,
    MARGIN,
    PALETTE,
    PAPER,
    SMALL,
    WIDTH,
    Colour,
    Sheet,
)
from schemas.vocabulary import CELLS, CONFIG_OF_TASK, LANGUAGES

#: Two ends of the heat map, light to dark.
_COLD, _HOT = (235, 243, 250), (12, 60, 110)

_ROWS_PER_COLUMN = 24


def draw_plots(
    directory: Path, counts: ReleaseCounts, quality: Mapping[str, Any] | None = None
) -> list[str]:
    """Draws every plot of a release; returns their file names.

    Args:
        directory: Where to; made if it is not there.
        counts: Of the release.
        quality: Its `quality.json`; without it the plots of the criteria are left out.
    """
    directory.mkdir(parents=True, exist_ok=True)
    plots = {
        "coverage.png": _coverage(counts),
        "languages.png": _languages(counts.languages()),
        "scores.png": _scores(counts),
    }
    drawn = {
        "funnel.png": draw_funnel(quality),
        "alignment.png": draw_alignment(quality),
        "score_changes.png": draw_score_changes(quality),
    }
    plots |= {name: plot for name, plot in drawn.items() if plot is not None}
    for name, plot in plots.items():
        plot.save(directory / name)
    return sorted(plots)


def _coverage(counts: ReleaseCounts) -> Sheet:
    """Languages down, in columns; cells across; the darker, the more rows, logarithmically."""
    codes = sorted(counts.languages())
    starts = range(0, len(codes), _ROWS_PER_COLUMN)
    blocks = [codes[start : start + _ROWS_PER_COLUMN] for start in starts]
    names = [f"{CONFIG_OF_TASK[cell.task_type]} {cell.modality}" for cell in CELLS]
    code, gap, top = 30, 20, 156
    wide = (WIDTH - 2 * MARGIN - gap * (len(blocks) - 1)) // max(1, len(blocks))
    side = min(28, (wide - code) // len(CELLS))
    bottom = top + LINE * max(map(len, blocks), default=0) + 12
    sheet = Sheet(bottom + 50, "Rows by language and cell")
    most = max(counts.slots.values(), default=1)
    for number, languages in enumerate(blocks):
        left = MARGIN + number * (code + side * len(CELLS) + gap) + code
        for column, name in enumerate(names):
            sheet.upright_text(left + column * side + (side - SMALL) / 2 - 1, top - 6, name)
        for row, language in enumerate(languages):
            y = top + row * LINE
            sheet.text(left - 6, y, language, anchor="ra")
            for column, cell in enumerate(CELLS):
                num = counts.slots[cell.task_type, cell.modality, language]
                colour = _heat(log(num) / log(max(2, most))) if num else PAPER
                sheet.box(left + column * side, y, side - 2, LINE - 3, colour, framed=True)
    for step in range(100):
        sheet.box(MARGIN + 2 * step, bottom, 2, 12, _heat(step / 99))
    sheet.text(MARGIN, bottom + 16, "1")
    sheet.text(MARGIN + 200, bottom + 16, f"{most:,} rows", anchor="ra")
    sheet.text(MARGIN + 220, bottom - 1, "white: none (logarithmic scale)")
    return sheet


def _languages(counts: Mapping[str, int]) -> Sheet:
    """A bar for each language, the most common first, down one to three columns."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    num_columns = min(3, -(-len(ordered) // 12)) or 1
    num_rows = -(-len(ordered) // num_columns)
    sheet = Sheet(56 + LINE * num_rows + 12, f"Rows by language ({len(ordered)})")
    most = max(counts.values(), default=1)
    wide = (WIDTH - 2 * MARGIN) // num_columns
    label, gap = 122, 16
    figure = 8 + 8 * len(f"{most:,}")
    longest = wide - label - figure - gap
    for index, (language, num) in enumerate(ordered):
        column, row = divmod(index, num_rows)
        x, y = MARGIN + column * wide, 52 + row * LINE
        sheet.text(x, y, language)
        sheet.text(x + 26, y, LANGUAGES[language].name if language in LANGUAGES else "")
        sheet.box(x + label, y + 2, longest * num / most, LINE - 6, BAR)
        sheet.text(x + label + longest * num / most + 6, y, f"{num:,}")
    return sheet


def _scores(counts: ReleaseCounts) -> Sheet:
    left, top, height = 76, 88, 220
    width = (WIDTH - left - MARGIN) // 5
    sheet = Sheet(top + height + 44, "The teacher's own scores")
    table = counts.score_table()
    most = max((num for scores in table.values() for num in scores.values()), default=0) or 1
    for num in _ticks(most):
        y = top + height - height * num / most
        sheet.box(left - 4, y, WIDTH - MARGIN - left + 4, 0.5, FAINT)
        sheet.text(left - 8, y - 8, f"{num:,}", anchor="ra")
    for position, name in enumerate(SCORES):
        sheet.box(left + 130 * position, 54, 12, 12, PALETTE[position])
        sheet.text(left + 130 * position + 18, 51, name, size=14)
    for score in range(1, 6):
        x = left + width * (score - 1)
        for position, name in enumerate(SCORES):
            bar = height * table[name][str(score)] / most
            sheet.box(x + 26 * position + 16, top + height - bar, 22, bar, PALETTE[position])
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
