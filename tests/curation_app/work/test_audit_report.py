"""The report stands alone and says what the figures say; whatever is in a title stays text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from curation_app.work.audit_report import interval_plot, report_html, write_report
from curation_app.work.audit_words import describe_decision, percent
from schemas.audit import (
    AuditReport,
    Rate,
    StratumRate,
    read_audit_report,
)
from tests.schemas.finished_audit import audit_report

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'${1}"


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def hostile() -> AuditReport:
    report = audit_report()
    rate = Rate(name=HOSTILE, num=10, num_defects=1, rate=0.1, low=0.01, high=0.4)
    figures = report.figures.model_copy(
        update={"strata": (StratumRate(name=HOSTILE, population=9, num_drawn=9, found=rate),)}
    )
    design = report.design.model_copy(update={"title": HOSTILE})
    return report.model_copy(update={"design": design, "figures": figures, "dataset": HOSTILE})


def test_nothing_of_a_title_or_a_name_becomes_markup(hostile: AuditReport) -> None:
    page = report_html(hostile)
    found = Tags(page).tags
    assert {tag for tag, _ in found}.isdisjoint({"script", "img", "iframe", "link", "object"})
    assert not any(name.startswith("on") for _, attrs in found for name in attrs)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_nothing_is_fetched_and_nothing_runs(hostile: AuditReport) -> None:
    page = report_html(hostile)
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|url\(|@import", page)
    assert not any({"src", "href"} & set(attrs) for _, attrs in Tags(page).tags)


def test_colours_have_the_contrast_that_text_needs() -> None:
    style = re.search(r"<style>(.*?)</style>", report_html(audit_report()), re.DOTALL)
    assert style is not None
    themes = re.findall(r":root \{(.*?)\}", style[1], re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", theme))
        for name in ("ink", "soft", "mark"):
            assert contrast(colours[name], colours["paper"]) >= 4.5


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_page_and_data_are_written_and_say_the_same(tmp_path: Path) -> None:
    page, data = write_report(audit_report(), tmp_path / "out")
    assert read_audit_report(data) == audit_report()
    text = page.read_text(encoding="utf-8")
    assert "Audit of pictograms 0.2.0" in text and "10.0 %" in text and "44.5 %" in text
    assert (
        sorted(path.name for path in (tmp_path / "out").iterdir()) == [data.name, page.name][::-1]
    )


def test_the_plot_marks_what_rests_on_few_rows() -> None:
    few = Rate(name="ar", num=5, num_defects=1, rate=0.2, low=0.005, high=0.72)
    many = Rate(name="ja", num=50, num_defects=1, rate=0.02, low=0.001, high=0.1)
    assert interval_plot([few, many], label="rates").count('class="few"') == 1
    flat = Rate(name="", num=5, num_defects=0, rate=0, low=0, high=0)
    assert "<svg" in interval_plot([flat], label="rates")


def test_an_audit_that_ended_undecided_says_so() -> None:
    report = audit_report()
    plan = report.plan.model_copy(update={"max_defects": 3})
    figures = report.figures.model_copy(update={"decision": "go on", "num_decided": 4})
    closed = describe_decision(plan, figures, is_closed=True)
    assert closed.startswith("Closed without a decision: 1 defect found, 3 allowed")
    assert describe_decision(plan, figures, is_closed=False).startswith("Go on")


def test_percentages_keep_what_says_something() -> None:
    assert [percent(share) for share in (0, 0.0031, 0.042, 1)] == [
        "0 %",
        "0.31 %",
        "4.2 %",
        "100 %",
    ]
