"""Bars on a terminal, a plain line now and then in a log."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from builder.progress import progress_bar, stage_bars


def steady_clock(step_s: float) -> Callable[[], float]:
    """Goes on by so many seconds at every look."""
    now_s = 0.0

    def look() -> float:
        nonlocal now_s
        now_s += step_s
        return now_s

    return look


def log() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=40)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("total", [None, 3])
def test_what_is_soon_over_leaves_nothing_in_a_log(total: int | None) -> None:
    console = log()
    with progress_bar("images", total, console=console) as advance:
        for _ in range(3):
            advance(1)
    with stage_bars("0.1.0", {"uploading"}, console=console) as advance:
        advance("uploading", 10, 10)
        advance("card", 0, 0)
    assert text_of(console) == ""


def test_a_log_gets_a_line_every_fifteen_seconds() -> None:
    console = log()
    with progress_bar("images", None, console=console, clock=steady_clock(2.0)) as advance:
        for _ in range(24):
            advance(1_000)
    assert text_of(console).splitlines() == ["images: 8,000", "images: 16,000", "images: 24,000"]


def test_lines_in_a_log_name_stage_and_total() -> None:
    console = log()
    with stage_bars("0.1.0", {"uploading"}, console=console, clock=steady_clock(8.0)) as advance:
        for done in range(4):
            advance("uploading", done * 1_500_000, 6_000_000)
        for done in range(4):
            advance("rows", done * 1_000, 15_000)
        for _ in range(2):
            advance("card", 0, 0)
    assert text_of(console).splitlines() == [
        "uploading 0.1.0: 1.5 MB of 6.0 MB",
        "uploading 0.1.0: 4.5 MB of 6.0 MB",
        "rows 0.1.0: 1,000 of 15,000",
        "rows 0.1.0: 3,000 of 15,000",
        "card 0.1.0: started",
    ]


def test_a_terminal_gets_a_bar_a_stage_and_no_count_of_what_nobody_counts() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with stage_bars("0.1.0", {"uploading"}, console=console) as advance:
        advance("rows", 5, 20)
        advance("uploading", 1_500_000, 6_000_000)
        advance("card", 0, 0)
    shown = text_of(console)
    assert "rows 0.1.0" in shown and "5/20" in shown
    assert "1.5/6.0 MB" in shown
    assert "card 0.1.0" in shown and "0/?" not in shown
