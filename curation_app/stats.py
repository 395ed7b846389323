"""What a store holds, as tables for the terminal."""

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation_app.dataset import open_dataset
from curation_app.progress import Progress
from curation_app.store import ReviewStore
from schemas.reasons import REASON_BY_CODE


def print_stats(store: ReviewStore, dataset: str | None) -> None:
    """Prints acts by reviewer, reject reasons and, for a version, its progress."""
    acts: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    undone = {event.undoes for event in store.events() if event.kind == "undo"}
    num_events = 0
    for event in store.events():
        num_events += 1
        kind = event.verdict if event.kind == "verdict" else event.kind
        acts.setdefault(event.reviewer, Counter())[kind or ""] += 1
        if event.verdict == "reject" and event.event_id not in undone:
            reasons.update(event.reasons)
    console = Console()
    console.print(f"{num_events:,} events in {store.path}", markup=False, highlight=False)
    console.print(_acts_table(acts))
    if reasons:
        console.print(_reasons_table(reasons))
    if dataset is not None:
        _print_progress(console, dataset, store)


def _acts_table(acts: dict[str, Counter[str]]) -> Table:
    kinds = ("accept", "edit", "reject", "skip", "flag", "undo")
    table = Table("reviewer", *kinds, title="Acts")
    for reviewer, counts in sorted(acts.items()):
        table.add_row(Text(reviewer), *(f"{counts[kind]:,}" for kind in kinds))
    return table


def _reasons_table(reasons: Counter[str]) -> Table:
    table = Table("reason", "meaning", "rejects", title="Why rejected")
    for code, count in reasons.most_common():
        known = REASON_BY_CODE.get(code)
        table.add_row(Text(code), known.label if known else "", f"{count:,}")
    return table


def _print_progress(console: Console, dataset: str, store: ReviewStore) -> None:
    version = open_dataset(dataset)
    progress = Progress(version, store)
    table = Table("language", "samples", "reviewed", "accepted", "rejected", "edited")
    table.title = f"{version.manifest.name} {version.version}"
    for language in sorted(version.counts("language")):
        counts = progress.counts(version.matching(language=language))
        if counts.reviewed:
            row = (counts.total, counts.reviewed, counts.accepted, counts.rejected, counts.edited)
            table.add_row(language, *(f"{number:,}" for number in row))
    total = progress.counts()
    row = (total.total, total.reviewed, total.accepted, total.rejected, total.edited)
    table.add_section()
    table.add_row("all", *(f"{number:,}" for number in row))
    console.print(table)
