"""Plots of the three criteria: the funnel, alignment by language, scores before and after."""

from math import ceil, floor

from builder.release.about.sheet import BAR, FAINT, INK, LINE, MARGIN, PALETTE, WIDTH, Sheet
from schemas.criteria import funnel_of, score_changes, scores_by_language
from schemas.vocabulary import LANGUAGES

_LABEL = 200
_LOST = (243, 201, 195)
_BAND, _BOX = (205, 222, 238), (120, 165, 205)
_MAX_LANGUAGES = 60
_MIN_SCORE, _MAX_SCORE = 1, 5


def draw_funnel(quality: object) -> Sheet | None:
    """A bar for each stage, what was lost there beside it; None without stages."""
    stages = funnel_of(quality)
    if len(stages) < 2 or not stages[0][1]:
        return None
    first = stages[0][1]
    row = 34
    sheet = Sheet(64 + row * len(stages), "From what was asked for to what is published")
    longest = WIDTH - 2 * MARGIN - _LABEL - 170
    before = first
    for place, (stage, num) in enumerate(stages):
        y = 52 + place * row
        sheet.text(MARGIN, y + 5, stage, size=14)
        left = MARGIN + _LABEL
        sheet.box(left, y, longest * before / first, 24, _LOST)
        sheet.box(left, y, longest * num / first, 24, BAR)
        words = f"{num:,}"
        if num < before:
            words += f"  (-{before - num:,}, {(before - num) / before:.1%})"
        sheet.text(left + longest + 10, y + 5, words, size=14)
        before = num
    return sheet


def draw_alignment(quality: object) -> Sheet | None:
    """Median, middle half and middle nine tenths of each language; None where nothing is scored."""
    found = scores_by_language(quality, "scores")
    if not found:
        return None
    shown = list(found.items())[:_MAX_LANGUAGES]
    top, label = 92, 150
    title = "Alignment by language, the lowest first"
    if len(found) > len(shown):
        title += f" ({len(shown)} of {len(found)})"
    sheet = Sheet(top + LINE * len(shown) + 40, title)
    low = floor(min(figures["p05"] for _, figures in shown) * 10) / 10
    highest = max(figures["p95"] for _, figures in shown)
    # Whole tenths, so that the six ticks stand at round numbers.
    high = low + max(1, ceil((highest - low) * 2 - 1e-9)) / 2
    left, width = MARGIN + label, WIDTH - 2 * MARGIN - label - 60

    def across(value: float) -> float:
        return left + width * (value - low) / (high - low)

    sheet.box(MARGIN, 54, 26, 12, _BAND)
    sheet.text(MARGIN + 32, 52, "9 of 10 rows")
    sheet.box(MARGIN + 130, 54, 26, 12, _BOX)
    sheet.text(MARGIN + 162, 52, "middle half")
    sheet.box(MARGIN + 252, 54, 4, 12, INK)
    sheet.text(MARGIN + 264, 52, "median; its value on the right")
    bottom = top + LINE * len(shown)
    for step in range(6):
        value = low + (high - low) * step / 5
        sheet.box(across(value), top - 6, 0.5, bottom - top + 10, FAINT)
        sheet.text(across(value), bottom + 8, f"{value:z.2f}", anchor="ma")
    for place, (language, figures) in enumerate(shown):
        y = top + place * LINE
        sheet.text(MARGIN, y, language)
        sheet.text(MARGIN + 26, y, LANGUAGES[language].name if language in LANGUAGES else "")
        for lower, upper, colour in (("p05", "p95", _BAND), ("p25", "p75", _BOX)):
            start = across(figures[lower])
            sheet.box(start, y + 2, across(figures[upper]) - start, LINE - 6, colour)
        sheet.box(across(figures["median"]) - 1.5, y, 3, LINE - 2, INK)
        sheet.text(WIDTH - MARGIN, y, f"{figures['median']:z.2f}", anchor="ra")
    return sheet


def draw_score_changes(quality: object) -> Sheet | None:
    """The teacher's mean scores of its draft beside the judge's of the revision."""
    changes = {
        name: (before, after)
        for name, (before, after) in score_changes(quality).items()
        if before is not None and after is not None
    }
    if not changes:
        return None
    row, top, label = 54, 88, 120
    sheet = Sheet(top + row * len(changes) + 36, "Scores before and after revision, judged rows")
    legend = ("teacher, of the draft", "independent judge, of the revision")
    for place, words in enumerate(legend):
        sheet.box(MARGIN + 180 * place, 54, 12, 12, PALETTE[place])
        sheet.text(MARGIN + 180 * place + 18, 51, words, size=14)
    left, width = MARGIN + label, WIDTH - 2 * MARGIN - label - 60
    bottom = top + row * len(changes)
    for score in range(_MIN_SCORE, _MAX_SCORE + 1):
        x = left + width * (score - _MIN_SCORE) / (_MAX_SCORE - _MIN_SCORE)
        sheet.box(x, top - 6, 0.5, bottom - top + 6, FAINT)
        sheet.text(x, bottom + 6, str(score), size=14, anchor="ma")
    for place, (name, scores) in enumerate(changes.items()):
        y = top + place * row
        sheet.text(MARGIN, y + 10, name, size=14)
        for bar, score in enumerate(scores):
            long = width * (score - _MIN_SCORE) / (_MAX_SCORE - _MIN_SCORE)
            sheet.box(left, y + 20 * bar, long, 17, PALETTE[bar])
            sheet.text(left + long + 6, y + 20 * bar + 2, f"{score:.2f}")
    return sheet
