"""What a running build shows, on a terminal and in a log."""

import io

from rich.console import Console

from builder.config import PaceConfig
from builder.cost.budget import Budget
from builder.endpoint.pace import Pace
from builder.endpoint.stop import Stop
from builder.generate.progress import Report, RunCounts


def report_of(dropped: dict[str, int], num_kept: int = 10) -> Report:
    """A report on languages of `num_kept` kept jobs each."""
    counts = RunCounts()
    counts.begin_round(2, 1_000)
    for language, num_dropped in dropped.items():
        for _ in range(num_kept):
            counts.keep(language)
        for _ in range(num_dropped):
            counts.drop(language, "wrong_language")
    return Report(counts, [Pace(PaceConfig(), Stop())], Budget(), has_price=True)


def test_a_line_names_the_languages_of_which_most_is_dropped_worst_first() -> None:
    line = report_of({"fr": 0, "de": 1, "ja": 10, "hi": 2, "zh": 5}).line()
    assert line.startswith("round 2: 68/1000 jobs")
    assert line.endswith(" · most dropped: ja 50%, zh 33%, hi 17%")
    assert "\n" not in line


def test_a_line_names_no_language_while_nothing_is_dropped() -> None:
    assert report_of({"fr": 0, "de": 0}).line().endswith(" · $0.0000")


def test_a_panel_names_five_languages() -> None:
    console = Console(file=io.StringIO(), record=True, width=120)
    console.print(report_of(dict.fromkeys(("fr", "de", "ja", "hi", "zh", "tr"), 10)).panel())
    assert "dropped by language: de 50%, fr 50%, hi 50%, ja 50%, tr 50%\n" in console.export_text()
