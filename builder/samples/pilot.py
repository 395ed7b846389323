"""The page of a pilot: its samples, what one kept sample costs, and what the whole build would."""

from math import sqrt
from pathlib import Path
from typing import Any

from builder.balance import balance_of
from builder.balance.run_report import make_run_report
from builder.config import BuildConfig
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.samples.page import MAX_SAMPLES, PageTable, render_page
from builder.samples.read import SampleFilter, find_samples, with_exchanges
from builder.workspace import Workspace
from schemas.errors import naming
from schemas.vocabulary import LANGUAGES

#: Name of the page in a workspace.
PILOT_NAME = "pilot.html"
#: Of the normal distribution, for intervals of 95 %.
_Z_95 = 1.96


def write_pilot_page(workspace: Workspace, config: BuildConfig, path: Path) -> str:
    """Writes the page; returns the sentence that sums it up.

    Args:
        workspace: After the pilot.
        config: The build that the figures are extrapolated to.
        path: Where the page is written.
    """
    with Ledger(workspace.ledger_path) as ledger, ImageStore(workspace.images_dir) as store:
        report = make_run_report(ledger, {})
        found = list(find_samples(ledger, SampleFilter(state="all"), MAX_SAMPLES))
        samples = list(with_exchanges(ledger, found))
        wanted = {
            share.value: share.wanted
            for share in balance_of(config, ledger).shares
            if share.dimension == "language"
        }
        line = _summary(report.content, config)
        models = ", ".join(dict.fromkeys(one.model for one in config.writers.values()))
        page = render_page(
            samples,
            store,
            title=f"Pilot of {config.name}: {len(samples)} samples of {models}",
            lines=(line, *report.signs),
            tables=(_languages(report.content, wanted), _cells(report.content)),
        )
    with naming(path):
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    return line


def drop_interval(num_dropped: int, num: int) -> tuple[float, float]:
    """The share of drops that the pilot is compatible with, at 95 %.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if num == 0:
        return 0.0, 1.0
    share, weight = num_dropped / num, _Z_95**2 / num
    centre = (share + weight / 2) / (1 + weight)
    half = _Z_95 * sqrt(share * (1 - share) / num + weight / (4 * num)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def _summary(content: dict[str, Any], config: BuildConfig) -> str:
    """What was kept, what it cost, and what the whole build would cost at this price."""
    kept, drops = content["kept"], content["drops"]
    num_dropped = sum(num for reason, num in drops.items() if reason != "surplus")
    cost = _total_cost(content)
    low, high = drop_interval(num_dropped, kept + num_dropped)
    line = (
        f"{kept} of {kept + num_dropped} kept; between {low:.0%} and {high:.0%} would be dropped "
        "(95 % interval)."
    )
    if cost is None:
        return f"{line} The price of the model is unknown: set `teacher.prices`."
    if not kept:
        return f"{line} ${cost:.4f} were paid."
    per_kept = cost / kept
    return (
        f"{line} ${per_kept:.5f} per kept sample, drops paid for; {config.num_samples:,} samples "
        f"would cost about ${per_kept * config.num_samples:,.2f}. What the pilot paid for counts "
        "towards the build."
    )


def _total_cost(content: dict[str, Any]) -> float | None:
    costs = [m["cost_usd"] for m in content["models"] if m["cost_usd"] is not None]
    return sum(costs) if costs else None


def _languages(content: dict[str, Any], wanted: dict[str, int]) -> PageTable:
    """A row for each language of the pilot."""
    cost, kept = _total_cost(content), content["kept"]
    mean = cost / kept if cost is not None and kept else None
    rows: list[tuple[str, ...]] = []
    for code, group in content["languages"].items():
        num = group["kept"] + group["dropped"]
        low, high = drop_interval(group["dropped"], num)
        per_kept = group["usd_per_kept"] if group["usd_per_kept"] is not None else mean
        number = wanted.get(code, 0)
        rows.append(
            (
                f"{LANGUAGES[code].name} ({code})" if code in LANGUAGES else code,
                f"{group['kept']} of {num}",
                f"{low:.0%} to {high:.0%}",
                _usd(group["usd_per_kept"]),
                f"{number:,}",
                _usd(per_kept * number if per_kept is not None else None),
                ", ".join(group["reasons"]),
            )
        )
    return PageTable(
        "By language",
        (
            *("language", "kept", "drop rate, 95 %", "per kept sample"),
            *("wanted in all", "would cost", "reasons of drops"),
        ),
        tuple(rows),
        "A language without a kept sample is priced as the mean. A few samples say little about "
        "one language: the intervals show how little.",
    )


def _cells(content: dict[str, Any]) -> PageTable:
    """A row for each cell of the pilot."""
    rows = [
        (
            name,
            f"{group['kept']} of {group['kept'] + group['dropped']}",
            _usd(group["usd_per_kept"]),
            ", ".join(group["reasons"]),
        )
        for name, group in content["cells"].items()
    ]
    return PageTable(
        "By task type and modality combination",
        ("cell", "kept", "per kept sample", "reasons of drops"),
        tuple(rows),
    )


def _usd(amount: float | None) -> str:
    if amount is None:
        return "unknown"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.5f}"
