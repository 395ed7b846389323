"""The compare page: how the version under review differs from another one.

Rows added, removed and changed with their fields side by side, and the paired change of defects
over the samples that were judged in both.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from curation_app.data.coverage import SCORES
from curation_app.data.differences import (
    FIELDS,
    Change,
    Differences,
    Kind,
    compare_versions,
    marked_words,
    open_sibling,
    paired_counts,
    sibling_versions,
)
from curation_app.data.query import RowFilter, VersionQuery
from curation_app.pages.opening import on_open
from curation_app.pages.search_acts import MAX_QUEUE_ITEMS, add_queue_form
from curation_app.statistics.paired import paired_change
from curation_app.work.paired_reviews import rejected_by_version
from curation_app.work.people import Person
from curation_app.work.workbench import Workbench
from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES

Who = Callable[[gr.Request], Person | None]

PAGE_ROWS = 50
_ANY = "any"
_SCORES = (*SCORES, "alignment")
_KIND_OF: dict[str, Kind] = {"added": "added", "removed": "removed", "changed": "changed"}
_COLUMNS = ["id", "language", "what", "fields"]


@dataclass(slots=True)
class Shown:
    """The list as it stands; `wanted` is what the queue form reads.

    Args:
        version: The other version.
        starts: Id before each page up to the one shown.
    """

    version: str = ""
    kind: str = _ANY
    changed: str = _ANY
    starts: list[str] = field(default_factory=lambda: [""])
    last_id: str = ""
    has_more: bool = False
    wanted: RowFilter = field(default_factory=lambda: RowFilter(rows=()))


def build(bench: Workbench, who: Who) -> None:
    """Adds the page's components; called inside its route."""
    page = _ComparePage(bench, who)
    gr.Markdown("# Compare")
    with gr.Row():
        other = gr.Dropdown(
            label=f"Version to compare {bench.dataset.version} with",
            choices=[],
            interactive=True,
            elem_id="compare-other",
        )
        kind = gr.Dropdown(label="Rows", choices=[_ANY, *_KIND_OF], value=_ANY)
        changed = gr.Dropdown(label="Changed in", choices=[_ANY, *FIELDS], value=_ANY)
        go = gr.Button("Compare", variant="primary", elem_id="compare-go")
    summary = gr.Textbox(label="Result", interactive=False, lines=2, elem_id="compare-summary")
    defects = gr.Textbox(label="Defects, over samples judged in both", interactive=False, lines=2)
    held = gr.State(Shown())
    with gr.Row():
        by_field = gr.Dataframe(
            headers=["field", "rows changed"], interactive=False, label="By field", max_height=260
        )
        by_language = gr.Dataframe(
            headers=["language", *_KIND_OF], interactive=False, label="By language", max_height=260
        )
    table = gr.Dataframe(
        headers=_COLUMNS,
        datatype="str",
        interactive=False,
        wrap=True,
        max_height=420,
        label="Rows that differ (click one)",
        elem_id="compare-rows",
    )
    with gr.Row():
        previous = gr.Button("Previous page", interactive=False)
        following = gr.Button("Next page", interactive=False, elem_id="compare-next")
        link = gr.Button("Open in review", interactive=False)
    fields = gr.Dataframe(
        headers=["field", "before", "after"],
        datatype="str",
        interactive=False,
        wrap=True,
        label="Fields of the chosen row",
        elem_id="compare-table",
    )
    marked = gr.HighlightedText(
        label="Texts of the chosen row: - taken out, + put in",
        combine_adjacent=False,
        show_legend=True,
        color_map={"-": "#f3c9c3", "+": "#bfe3c8"},
        elem_id="compare-words",
        visible=False,
    )
    with gr.Accordion("Make a queue from the added and changed rows listed", open=False):
        add_queue_form(bench, who, held, origin="filter")
    shown = [held, summary, defects, by_field, by_language, table, previous, following]
    quick: dict[str, Any] = {"api_visibility": "private", "queue": False}
    go.click(page.compare, [other, kind, changed], shown, api_visibility="private")
    previous.click(page.previous, [held], [held, table, previous, following], **quick)
    following.click(page.following, [held], [held, table, previous, following], **quick)
    table.select(page.choose, [held], [fields, marked, link], **quick)
    on_open(page.versions, [other])
    on_open(page.open, shown, is_slow=True)


class _ComparePage:
    """What the page shows; each other version is compared once."""

    def __init__(self, bench: Workbench, who: Who) -> None:
        self._bench = bench
        self._who = who
        self._compared: dict[str, Differences] = {}

    def versions(self) -> Any:
        """The versions to compare with; the one before this is chosen."""
        return gr.Dropdown(choices=sibling_versions(self._bench.dataset), value=self._before())

    def open(self) -> list[Any]:
        """Compares with the version before, or the newest of the others."""
        before = self._before()
        if before is None:
            words = "No other version of this dataset is beside this one. Fetch or release one."
            return self._failed(words)
        return self.compare(before, _ANY, _ANY)

    def compare(self, version: str | None, kind: str, changed: str) -> list[Any]:
        if not version:
            return self._failed("Choose a version to compare with.")
        try:
            differences = self._differences(version)
            defects = self._defects(differences)
        except PolysceneError as exc:
            return self._failed(str(exc))
        total = differences.total
        held = Shown(
            version, kind, changed, wanted=RowFilter(rows=_listed(differences, kind, changed))
        )
        summary = (
            f"{differences.old.dataset.version} to {differences.new.dataset.version}: "
            f"{total['added']:,} rows added, {total['removed']:,} removed, "
            f"{total['changed']:,} changed."
        )
        tables = [_by_field(differences), _by_language(differences)]
        return self._list(held, [summary, defects, *tables])

    def previous(self, held: Shown) -> list[Any]:
        held.starts = held.starts[:-1] or [""]
        return self._list(held, [])

    def following(self, held: Shown) -> list[Any]:
        if held.has_more:
            held.starts = [*held.starts, held.last_id]
        return self._list(held, [])

    def choose(self, held: Shown, event: gr.SelectData, request: gr.Request) -> tuple[Any, ...]:
        """Fields of a clicked row, and its texts with what changed marked.

        Scores are a lead's: a reviewer who has seen them is no longer blind.
        """
        person = self._who(request)
        is_lead = person is not None and person.is_lead
        sample_id = str((event.row_value or [""])[0])
        try:
            changes = self._differences(held.version).fields_of(sample_id)
        except PolysceneError:
            return [], gr.HighlightedText(visible=False), gr.Button(interactive=False)
        marked: list[tuple[str, str | float | None]] = []
        for change in changes:
            if change.field.endswith(("_text", "_texts")) or change.field == "instruction":
                marked.append((f"{change.field}: ", None))
                marked += marked_words(change.before, change.after)
                marked.append(("\n", None))
        is_here = self._bench.dataset.row_of(sample_id) is not None
        link = f"./?sample={sample_id}&status=all" if is_here else None
        cells = [
            [change.field, change.before, change.after]
            for change in changes
            if is_lead or change.field not in _SCORES
        ]
        return (
            cells,
            gr.HighlightedText(marked, visible=bool(marked)),
            gr.Button(interactive=is_here, link=link),
        )

    def _before(self) -> str | None:
        versions = sibling_versions(self._bench.dataset)
        before = self._bench.dataset.manifest.previous_version
        return before if before in versions else (versions[-1] if versions else None)

    def _list(self, held: Shown, between: list[Any]) -> list[Any]:
        differences = self._differences(held.version)
        changes = differences.page(
            kind=_KIND_OF.get(held.kind),
            changed_field=None if held.changed == _ANY else held.changed,
            after=held.starts[-1],
            limit=PAGE_ROWS + 1,
        )
        held.has_more = len(changes) > PAGE_ROWS
        changes = changes[:PAGE_ROWS]
        held.last_id = changes[-1].id if changes else ""
        return [
            held,
            *between,
            [_cells(change) for change in changes],
            gr.Button(interactive=len(held.starts) > 1),
            gr.Button(interactive=held.has_more),
        ]

    def _differences(self, version: str) -> Differences:
        if version not in self._compared:
            other = open_sibling(self._bench.dataset, version)
            query = VersionQuery(other, self._bench.query.cache_dir)
            self._compared[version] = compare_versions(query, self._bench.query)
        return self._compared[version]

    def _defects(self, differences: Differences) -> str:
        first, second = rejected_by_version(
            self._bench.store, (differences.old.dataset, differences.new.dataset)
        )
        counts = paired_counts(first, second)
        judged = f"{len(first):,} samples judged in one, {len(second):,} in the other"
        if not sum(counts):
            return f"No sample was judged in both ({judged}). Review some of them again."
        change = paired_change(*counts)
        return (
            f"{change.num_pairs:,} samples judged in both: {100 * change.first_rate:.1f} % "
            f"rejected before, {100 * change.second_rate:.1f} % now; change "
            f"{100 * change.difference:+.1f} points, 95 % interval "
            f"{100 * change.interval.low:+.1f} to {100 * change.interval.high:+.1f} (Newcombe); "
            f"McNemar's exact p {change.p_value:.3g}. {counts[1]} fixed, {counts[2]} new."
        )

    def _failed(self, words: str) -> list[Any]:
        return [
            Shown(),
            words,
            "",
            [],
            [],
            [],
            gr.Button(interactive=False),
            gr.Button(interactive=False),
        ]


def _listed(differences: Differences, kind: str, changed: str) -> tuple[int, ...]:
    """Rows of the newer version among those listed; removed ones cannot be reviewed here."""
    only = None if changed == _ANY else changed
    rows: list[int] = []
    if kind in (_ANY, "added") and only is None:
        rows += differences.rows(kind="added", limit=MAX_QUEUE_ITEMS + 1)
    if kind in (_ANY, "changed"):
        rows += differences.rows(kind="changed", changed_field=only, limit=MAX_QUEUE_ITEMS + 1)
    return tuple(sorted(rows))


def _cells(change: Change) -> list[str]:
    return [change.id, change.language, change.kind, ", ".join(change.fields)]


def _by_field(differences: Differences) -> list[list[Any]]:
    return [[name, number] for name, number in differences.by_field.most_common()]


def _by_language(differences: Differences) -> list[list[Any]]:
    ordered = sorted(differences.by_language.items(), key=lambda one: -sum(one[1].values()))
    return [
        [LANGUAGES[code].name if code in LANGUAGES else code, *(counts[kind] for kind in _KIND_OF)]
        for code, counts in ordered
    ]
