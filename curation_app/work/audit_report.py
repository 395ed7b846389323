"""An audit's report as files: JSON for programs, one HTML page that stands alone."""

import os
from html import escape
from pathlib import Path

from curation_app.work.audit_words import (
    SEED_WORDS,
    STRATA_WORDS,
    between,
    describe_decision,
    describe_figures,
    describe_plan,
    describe_population,
    describe_purpose,
    percent,
)
from schemas.audit import AuditReport, Rate, StratumRate
from schemas.errors import naming

_MIN_TO_COMPARE = 20  # rows; a stratum with fewer is shown faint
_ROW_PX, _LABEL_PX, _PLOT_PX, _VALUE_PX, _TOP_PX = 22, 150, 420, 170, 26

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --soft: #545c66;
  --line: #d5d9de; --mark: #0b57a4; --good: #14692f; --bad: #a3161c; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e9ecef; --soft: #a9b2bc; --line: #3a4149; --mark: #7db8f5;
    --good: #73d08d; --bad: #ff9a9a; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 54rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 ui-sans-serif, system-ui, "Noto Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.verdict { font-size: 1.15rem; font-weight: 600; border-inline-start: 4px solid var(--mark);
  padding-inline-start: .75rem; margin: 1.25rem 0; }
.verdict.accept { border-color: var(--good); } .verdict.reject { border-color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: start; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; } td.num, th.num { text-align: end; }
.pairs th { width: 16rem; max-width: 40%; }
.wide { overflow-x: auto; } svg { display: block; } svg text { fill: var(--ink); font-size: 13px; }
svg .soft { fill: var(--soft); } svg .grid { stroke: var(--line); }
svg .bar { stroke: var(--mark); stroke-width: 3; } svg .dot { fill: var(--mark); }
svg .few .bar { stroke-dasharray: 3 3; }
"""


def write_report(report: AuditReport, directory: Path) -> tuple[Path, Path]:
    """Writes `audit-ID.html` and `audit-ID.json`; each is whole or as it was before.

    Raises:
        OSError: They cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    page = directory / f"audit-{report.audit_id}.html"
    data = directory / f"audit-{report.audit_id}.json"
    _write(page, report_html(report))
    _write(data, report.model_dump_json(indent=2) + "\n")
    return page, data


def report_html(report: AuditReport) -> str:
    """The page: no script, nothing fetched, all text escaped, light and dark."""
    design, figures = report.design, report.figures
    title = f"Audit of {report.dataset} {report.version}"
    verdict = describe_decision(report.plan, figures, is_closed=True)
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="soft">{_text(design.title)} · {_text(report.started[:10])} to '
        f"{_text(report.closed[:10])} · {figures.num_reviewers} reviewers, "
        f"{figures.num_verdicts:,} verdicts</p>",
        f'<p class="verdict {_text(figures.decision.replace(" ", "-"))}">{_text(verdict)}</p>',
        _pairs(describe_figures(design, figures)),
        _plot_section(report),
        _strata_section(report),
        _facets_section(report),
        _seeds_section(report),
        _design_section(report),
        _methods_section(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(part for part in parts if part)}\n</main>\n</body>\n</html>\n"
    )


def interval_plot(rates: list[Rate], *, label: str) -> str:
    """Rates with their intervals as inline SVG, one line each; dashed below 20 rows."""
    top = max((rate.high for rate in rates), default=1.0)
    step = next(
        step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if top / step <= 5 or step == 0.25
    )
    end = min(step * -(-top // step), 1.0) or 1.0
    height = _TOP_PX + _ROW_PX * len(rates) + 6
    width = _LABEL_PX + _PLOT_PX + _VALUE_PX

    def x(share: float) -> float:
        return _LABEL_PX + _PLOT_PX * share / end

    lines = []
    for number in range(round(end / step) + 1):
        at = x(number * step)
        lines.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP_PX - 6}" y2="{height}"/>'
            f'<text class="soft" x="{at:.1f}" y="14" text-anchor="middle">'
            f"{100 * number * step:g} %</text>"
        )
    for number, rate in enumerate(rates):
        y = _TOP_PX + _ROW_PX * number + _ROW_PX / 2
        few = ' class="few"' if rate.num < _MIN_TO_COMPARE else ""
        lines.append(
            f'<g{few}><text x="{_LABEL_PX - 10}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_text(rate.name or 'all')}</text>"
            f'<line class="bar" x1="{x(rate.low):.1f}" x2="{x(rate.high):.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle class="dot" cx="{x(rate.rate):.1f}" cy="{y:.1f}" r="5"/>'
            f'<text class="soft" x="{_LABEL_PX + _PLOT_PX + 12}" y="{y + 4:.1f}">'
            f"{_text(between(rate.low, rate.high))}</text></g>"
        )
    return (
        f'<div class="wide"><svg role="img" aria-label="{_text(label)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}">{"".join(lines)}</svg></div>'
    )


def _plot_section(report: AuditReport) -> str:
    figures = report.figures
    if figures.overall is None:
        return ""
    rates = [figures.overall, *(one.found for one in figures.strata if one.found is not None)]
    note = "The dot is the rate, the line its interval."
    if any(rate.num < _MIN_TO_COMPARE for rate in rates):
        note += f" Dashed: fewer than {_MIN_TO_COMPARE} rows, too few to compare."
    plot = interval_plot(rates, label="Defect rates with their intervals; numbers below")
    return f'<h2>Defect rates</h2>{plot}<p class="soft">{note}</p>'


def _strata_section(report: AuditReport) -> str:
    if not report.figures.strata:
        return ""
    head = (report.design.strata, "rows", "drawn", "decided", "defects", "rate", "interval")
    names = (STRATA_WORDS[report.design.strata], *head[1:])
    return _table("By stratum", names, [_stratum(one) for one in report.figures.strata])


def _stratum(stratum: StratumRate) -> list[str]:
    counts = [stratum.name, f"{stratum.population:,}", f"{stratum.num_drawn:,}"]
    found = stratum.found
    return [*counts, "0", "", "", ""] if found is None else [*counts, *_rate_cells(found)]


def _facets_section(report: AuditReport) -> str:
    rows = [[facet.facet, *_rate_cells(facet)] for facet in report.figures.facets]
    return _table("By facet", ("facet", "decided", "defects", "rate", "interval"), rows)


def _rate_cells(rate: Rate) -> list[str]:
    interval = between(rate.low, rate.high)
    return [f"{rate.num:,}", f"{rate.num_defects:,}", percent(rate.rate), interval]


def _seeds_section(report: AuditReport) -> str:
    rows = [
        [
            SEED_WORDS[one.kind],
            *(f"{num:,}" for num in (one.num_planted, one.num_shown, one.num_found)),
        ]
        for one in report.figures.seeds
    ]
    return _table("Planted defects", ("kind", "planted", "verdicts", "found"), rows)


def _design_section(report: AuditReport) -> str:
    design = report.design
    edits = "a defect" if design.edits_are_defects else "no defect"
    pairs = [
        ("Purpose", describe_purpose(design)),
        ("Population", describe_population(design.population)),
        ("Strata", STRATA_WORDS[design.strata]),
        ("Reviewers per row", f"{design.overlap}, {'blind' if design.is_blind else 'open'}"),
        ("Seed of the draw", str(design.seed)),
        ("An edited row is", edits),
        ("Plan", " ".join(describe_plan(design, report.plan))),
        ("Audit", report.audit_id),
    ]
    return f"<h2>Design, fixed before the first verdict</h2>{_pairs(pairs)}"


def _methods_section(report: AuditReport) -> str:
    lines = [
        "Rates of the whole weight each stratum by its size and correct for the finite population; "
        "intervals are Clopper-Pearson intervals of the effective sample (Korn and Graubard 1998).",
    ]
    figures = report.figures
    if figures.any_time is not None:
        lines.append(
            "The interval that holds at every look is a betting confidence sequence without "
            "replacement (Waudby-Smith and Ramdas 2024)."
        )
    if figures.powered is not None:
        lines.append(
            "The teacher's scores enter by prediction-powered inference with power tuning "
            "(Angelopoulos, Duchi and Zrnic 2023)."
        )
    if figures.num_seeds_decided:
        lines.append(
            "What reviewers miss is corrected for after Rogan and Gladen 1978, on the assumption "
            "that real defects are as hard to find as planted ones and that a reported defect is "
            "one; the interval is that of Bayer, Fay and Graubard 2023."
        )
    return f"<h2>Methods</h2>{''.join(f'<p class=soft>{_text(line)}</p>' for line in lines)}"


def _table(title: str, names: tuple[str, ...], rows: list[list[str]]) -> str:
    if not rows:
        return ""

    def cells(values: list[str] | tuple[str, ...], tag: str) -> str:
        first, *others = (_text(value) for value in values)
        scope = ' scope="row"' if tag == "td" else ' scope="col"'
        head = f"<th{scope}>{first}</th>"
        rest = "".join(
            f'<{tag} class="num"{scope if tag == "th" else ""}>{value}</{tag}>' for value in others
        )
        return f"<tr>{head}{rest}</tr>"

    body = "".join(cells(row, "td") for row in rows)
    return (
        f'<h2>{_text(title)}</h2><div class="wide"><table><thead>{cells(names, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _pairs(pairs: list[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>'
        for name, value in pairs
    )
    return f'<table class="pairs"><tbody>{rows}</tbody></table>' if rows else ""


def _text(value: str) -> str:
    return escape(value, quote=True)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with naming(path):
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
