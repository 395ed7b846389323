"""What stands in a store, as tables for the terminal."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation_app.data.version import open_dataset
from curation_app.store import ReviewStore
from curation_app.work.progress import ReviewProgress
from schemas.reasons import REASON_BY_CODE
from schemas.review import ReviewEvent, fold_events, in_order

_KINDS = ("accept", "edit", "reject", "adjudicate", "skip", "flag")


def print_stats(store: ReviewStore, dataset: str | None) -> None:
    """Prints decisions by reviewer, reject reasons and, for a version, its progress.

    Only what stands is counted: neither what was taken back, nor what its
    reviewer decided otherwise later.
    """
    events = in_order(store.events())
    console = Console()
    console.print(f"{len(events):,} events in {store.path}", markup=False, highlight=False)
    console.print(_decisions_table(standing_events(events)))
    reasons = reject_reasons(events)
    if reasons:
        console.print(_reasons_table(reasons))
    if dataset is not None:
        _print_progress(console, dataset, store)


def standing_events(events: Iterable[ReviewEvent]) -> list[ReviewEvent]:
    """The latest decision of each reviewer on each content of a row, and flags.

    Less what was taken back; events in any order.
    """
    ordered = in_order(events)
    undone = {event.undoes for event in ordered if event.kind == "undo"}
    latest: dict[tuple[str, str, str, bool], ReviewEvent] = {}
    for event in ordered:
        if event.kind != "undo" and event.event_id not in undone:
            is_flag = event.kind == "flag"
            latest[event.sample_id, event.content_hash, event.reviewer, is_flag] = event
    return list(latest.values())


def reject_reasons(events: Iterable[ReviewEvent]) -> Counter[str]:
    """Rows by reason among those that are rejected as things stand."""
    return Counter(
        reason
        for state in fold_events(events).values()
        if state.is_rejected
        for reason in state.reasons
    )


def _decisions_table(standing: list[ReviewEvent]) -> Table:
    by_reviewer: dict[str, Counter[str]] = {}
    for event in standing:
        kind = (event.verdict or "") if event.kind == "verdict" else event.kind
        by_reviewer.setdefault(event.reviewer, Counter())[kind] += 1
    table = Table("reviewer", *_KINDS, title="Decisions that stand")
    for reviewer, counts in sorted(by_reviewer.items()):
        table.add_row(Text(reviewer), *(f"{counts[kind]:,}" for kind in _KINDS))
    return table


def _reasons_table(reasons: Counter[str]) -> Table:
    table = Table("reason", "meaning", "rows", title="Why rejected")
    for code, count in reasons.most_common():
        known = REASON_BY_CODE.get(code)
        table.add_row(Text(code), known.label if known else "", f"{count:,}")
    return table


def _print_progress(console: Console, dataset: str, store: ReviewStore) -> None:
    version = open_dataset(dataset)
    progress = ReviewProgress(version, store)
    columns = ("samples", "reviewed", "accepted", "rejected", "edited", "flagged")
    table = Table("language", *columns, title=f"{version.manifest.name} {version.version}")
    for language in sorted(version.counts("language")):
        counts = progress.counts(version.matching(language=language))
        if counts.reviewed or counts.flagged:
            table.add_row(
                language, *(f"{getattr(counts, name):,}" for name in ("total", *columns[1:]))
            )
    total = progress.counts()
    table.add_section()
    table.add_row("all", *(f"{getattr(total, name):,}" for name in ("total", *columns[1:])))
    console.print(table)
