"""The search page: text in any language, filters, a table, pictures, similar images, SQL.

Any result becomes a queue, or gets one verdict, by a lead. Scores, review state and SQL are a
lead's too, as a reviewer who has seen them is no longer blind. Texts of the dataset reach the
browser in a table of plain strings and in a grid filled with `textContent`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any, get_args

import gradio as gr

from curation_app.data.query import Cursor, FoundRow, RowFilter, Sort, SortKey
from curation_app.data.similar import MAX_IMAGES, SimilarImages
from curation_app.pages.opening import on_open
from curation_app.pages.search_acts import add_bulk_verdict, add_queue_form
from curation_app.pages.search_rows import (
    COLUMN_WIDTHS,
    COLUMNS,
    LEAD_COLUMNS,
    card_of,
    cells_of,
    lead_cells,
)
from curation_app.pages.search_sql import add_sql_console
from curation_app.work.marks import MARKS, marks_of, review_marks
from curation_app.work.people import Person
from curation_app.work.workbench import Workbench
from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES

Who = Callable[[gr.Request], Person | None]

PAGE_ROWS = 50
_MAX_LIKE = 24
_GRID = '<div class="search-grid" data-slot="grid"></div>'
_START = """
import(new URL("ui/search/pictures.js", document.baseURI).href)
  .then((grid) => grid.start(element, props, watch));
"""
_OPEN_SORTS: tuple[SortKey, ...] = ("id", "language", "text_length")


class SearchError(PolysceneError):
    """A search cannot be made as asked."""


@dataclass(slots=True)
class Result:
    """What the page shows: the rows wanted, their order, and the pages walked through.

    Args:
        cursors: Beginning of each page up to the one shown; None begins the first.
        words: Where the result came from, if not from the filters.
    """

    wanted: RowFilter = field(default_factory=RowFilter)
    sort: Sort = field(default_factory=Sort)
    cursors: list[Cursor | None] = field(default_factory=lambda: [None])
    following: Cursor | None = None
    words: str = ""


def build(bench: Workbench, who: Who) -> None:
    """Adds the page's components; called inside its route."""
    page = SearchPage(bench, who)
    page.add()
    # Not a daemon: DuckDB aborts a process that ends in the middle of its work.
    Thread(target=_prepare, args=(bench,), name="search index").start()


def _prepare(bench: Workbench) -> None:
    """Builds the index while the first page loads; its errors come again with the first search."""
    try:
        bench.query.prepare()
    except PolysceneError:
        return


class SearchPage:
    """The page's components and what happens in them."""

    def __init__(self, bench: Workbench, who: Who) -> None:
        self._bench = bench
        self._who = who
        self._similar = SimilarImages(bench.dataset, bench.query.cache_dir)

    def add(self) -> None:
        gr.Markdown("# Search")
        filters = self._add_filters()
        with gr.Row():
            search = gr.Button("Search", variant="primary", elem_id="search-go")
            previous = gr.Button("Previous page", interactive=False)
            following = gr.Button("Next page", interactive=False, elem_id="search-next")
        summary = gr.Textbox(label="Result", interactive=False, lines=1, elem_id="search-summary")
        result = gr.State(Result())
        with gr.Tabs():
            with gr.Tab("Table"):
                table = gr.Dataframe(
                    headers=COLUMNS,
                    datatype="str",
                    interactive=False,
                    wrap=True,
                    max_height=560,
                    elem_id="search-table",
                    show_label=False,
                    column_widths=COLUMN_WIDTHS,
                )
            with gr.Tab("Pictures"):
                grid = gr.HTML(
                    [],
                    html_template=_GRID,
                    js_on_load=_START,
                    apply_default_css=False,
                    elem_id="search-pictures",
                )
            with gr.Tab("SQL"):
                show_rows = add_sql_console(self._bench, self._who)
        shown = [result, summary, table, grid, previous, following]
        self._add_chosen(table, shown)
        with gr.Accordion("Make a queue from this result", open=False):
            add_queue_form(self._bench, self._who, result)
        with gr.Accordion("One verdict for all of this result", open=False):
            add_bulk_verdict(self._bench, self._who, result)
        quick: dict[str, Any] = {"api_visibility": "private", "queue": False}
        gr.on([search.click, filters[0].submit], self._search, filters, shown, **quick)
        previous.click(self._previous, [result], shown, **quick)
        following.click(self._next, [result], shown, **quick)
        show_rows.go.click(self._show_rows, [show_rows.ids], shown, **quick)
        on_open(self._open, [*filters[:4], *shown], is_slow=True)

    def _add_filters(self) -> list[Any]:
        """Filters, in the order `_search` takes them."""
        counts = self._bench.dataset.counts
        languages = sorted(counts("language").items(), key=lambda entry: LANGUAGES[entry[0]].name)
        named = [(f"{LANGUAGES[code].name} ({number:,})", code) for code, number in languages]

        def choices(key: str) -> list[tuple[str, str]]:
            return [(f"{value} ({number:,})", value) for value, number in counts(key).items()]

        with gr.Row():
            text = gr.Textbox(
                label="Text, in any language",
                max_lines=1,
                scale=3,
                max_length=500,
                elem_id="search-text",
            )
            language = gr.Dropdown(label="Languages", choices=named, multiselect=True, scale=2)
            task = gr.Dropdown(label="Tasks", choices=choices("task_type"), multiselect=True)
            modality = gr.Dropdown(
                label="Modalities", choices=choices("modality"), multiselect=True
            )
        with gr.Row():
            text_in = gr.Dropdown(
                label="Look in",
                scale=2,
                choices=[("query, positive, negatives", "texts"), ("instruction", "instruction")],
                value="texts",
            )
            split = gr.Dropdown(label="Split", choices=["any", "train", "validation"], value="any")
            marks = gr.Dropdown(label="Status (lead)", choices=list(MARKS), multiselect=True)
            score = gr.Dropdown(
                label="Lowest score (lead)",
                choices=[("any", 0), *((f"at most {n}", n) for n in range(1, 5))],
                value=0,
            )
            sort = gr.Dropdown(
                label="Sort by",
                choices=[(key.replace("_", " "), key) for key in get_args(SortKey)],
                value="id",
            )
            is_descending = gr.Checkbox(label="Largest first", value=False)
        return [text, language, task, modality, text_in, split, marks, score, sort, is_descending]

    def _add_chosen(self, table: gr.Dataframe, shown: list[Any]) -> None:
        with gr.Row():
            chosen = gr.Textbox(
                label="Chosen row (click one in the table)",
                interactive=False,
                max_lines=1,
                elem_id="search-chosen",
            )
            link = gr.Button("Open in review", interactive=False, elem_id="search-open")
            alike = gr.Button("Similar images", interactive=False, elem_id="search-similar")
        gr.Markdown(
            "Similar images are found by colour and edges, not by what they show, among the first "
            f"{MAX_IMAGES:,} distinct images of the version; the first look-up describes them all."
        )

        def choose(event: gr.SelectData) -> tuple[Any, ...]:
            # The row as it was clicked: its index would be another once the browser has sorted.
            clicked = str((event.row_value or [""])[0])
            sample_id = clicked if self._bench.dataset.row_of(clicked) is not None else ""
            address = f"./?sample={sample_id}&status=all" if sample_id else None
            is_known = bool(sample_id)
            return (
                sample_id,
                gr.Button(interactive=is_known, link=address, link_target="_self"),
                gr.Button(interactive=is_known),
            )

        table.select(choose, None, [chosen, link, alike], api_visibility="private", queue=False)
        alike.click(self._show_similar, [chosen], shown, api_visibility="private")

    def _open(self, request: gr.Request) -> list[Any]:
        """The page as its address asks: `?q=…&language=…&task_type=…&modality=…`."""
        asked = request.query_params
        text = str(asked.get("q", ""))[:500]
        chosen = [
            [value for value in asked.getlist(key) if value in self._bench.dataset.counts(key)]
            for key in ("language", "task_type", "modality")
        ]
        languages, tasks, modalities = map(tuple, chosen)
        wanted = RowFilter(text=text, languages=languages, task_types=tasks, modalities=modalities)
        return [text, *chosen, *self._show(Result(wanted), request)]

    def _search(
        self,
        text: str,
        languages: list[str],
        tasks: list[str],
        modalities: list[str],
        text_in: Any,
        split: str,
        marks: list[str],
        score: int,
        sort: Any,
        is_descending: bool,
        request: gr.Request,
    ) -> list[Any]:
        wanted = RowFilter(
            text=text or "",
            text_in=text_in,
            languages=tuple(languages or ()),
            task_types=tuple(tasks or ()),
            modalities=tuple(modalities or ()),
            splits=() if split == "any" else (split,),
            marks=tuple(marks or ()),
            max_lowest_score=int(score) or None,
        )
        return self._show(Result(wanted, Sort(sort, bool(is_descending))), request)

    def _previous(self, held: Result, request: gr.Request) -> list[Any]:
        return self._show(replace(held, cursors=held.cursors[:-1] or [None]), request)

    def _next(self, held: Result, request: gr.Request) -> list[Any]:
        cursors = [*held.cursors, held.following] if held.following else held.cursors
        return self._show(replace(held, cursors=cursors), request)

    def _show_rows(self, ids: Sequence[str], request: gr.Request) -> list[Any]:
        found = (self._bench.dataset.row_of(sample_id) for sample_id in ids or ())
        rows = tuple(row for row in found if row is not None)
        return self._show(Result(RowFilter(rows=rows), words="from SQL"), request)

    def _show_similar(self, sample_id: str, request: gr.Request) -> list[Any]:
        row = self._bench.dataset.row_of(sample_id or "")
        if row is None or self._who(request) is None:
            return self._failed(SearchError("Choose a row in the table first."))
        try:
            images = self._bench.dataset.load(row).sample.images
            nearest = self._similar.like(images[0], limit=_MAX_LIKE) if images else []
            wanted = RowFilter(images=tuple(sha256 for sha256, _ in nearest))
            found = self._bench.query.page(wanted, limit=500).rows if nearest else []
        except PolysceneError as exc:
            return self._failed(exc)
        rank = {sha256: place for place, (sha256, _) in enumerate(nearest)}
        found.sort(key=lambda one: min(rank.get(sha, _MAX_LIKE) for _, sha in one.pictures))
        rows = found[:PAGE_ROWS]
        words = f"with images like those of {sample_id}, nearest first"
        held = Result(RowFilter(rows=tuple(one.row for one in rows)), words=words)
        return self._rendered(held, rows, len(rows), request)

    def _show(self, held: Result, request: gr.Request) -> list[Any]:
        person = self._who(request)
        if person is None:
            return self._failed(SearchError("Sign in, or give a name on the review page, first."))
        query = self._bench.query
        try:
            wanted = held.wanted
            if not person.is_lead and _needs_lead(held):
                raise SearchError("Only a lead may search by score or status; it would unblind.")
            marks = review_marks(self._bench.desk.progress)
            page = query.page(
                wanted, sort=held.sort, after=held.cursors[-1], limit=PAGE_ROWS, marks=marks
            )
            total = query.count(wanted, marks=marks)
        except PolysceneError as exc:
            return self._failed(exc)
        return self._rendered(replace(held, following=page.next), page.rows, total, request)

    def _rendered(
        self, held: Result, rows: list[FoundRow], total: int, request: gr.Request
    ) -> list[Any]:
        person = self._who(request)
        is_lead = person is not None and person.is_lead
        marks = review_marks(self._bench.desk.progress) if is_lead else {}
        first = (len(held.cursors) - 1) * PAGE_ROWS + 1
        summary = f"{total:,} sample{'' if total == 1 else 's'}" + (
            f" {held.words}" if held.words else ""
        )
        if total > len(rows) and rows:
            summary += f"; {first:,} to {first + len(rows) - 1:,} shown"
        cells = [
            [*cells_of(row), *(lead_cells(row, marks_of(marks, row.row)) if is_lead else ())]
            for row in rows
        ]
        headers = COLUMNS + (LEAD_COLUMNS if is_lead else [])
        return [
            held,
            summary,
            {"headers": headers, "data": cells},
            [card_of(row) for row in rows],
            gr.Button(interactive=len(held.cursors) > 1),
            gr.Button(interactive=held.following is not None),
        ]

    def _failed(self, exc: PolysceneError) -> list[Any]:
        return [gr.skip(), str(exc), gr.skip(), gr.skip(), gr.skip(), gr.skip()]


def _needs_lead(held: Result) -> bool:
    wanted = held.wanted
    return bool(
        wanted.marks or wanted.max_lowest_score is not None or held.sort.key not in _OPEN_SORTS
    )
