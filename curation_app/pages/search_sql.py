"""The search page's SQL console: one read-only query on the version, for a lead."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from curation_app.data.sandbox import SqlConsole
from curation_app.data.search_index import COLUMNS
from curation_app.work.marks import review_marks
from curation_app.work.people import Person
from curation_app.work.workbench import Workbench
from schemas.errors import PolysceneError

_EXAMPLE = """SELECT language, count(*) AS samples, avg(lowest_score) AS lowest_score
FROM rows LEFT JOIN reviews USING (row)
WHERE status IS NULL
GROUP BY language
ORDER BY samples DESC"""
_HELP = (
    f"Table `rows`: {', '.join(COLUMNS)}. "
    "Table `reviews`: row, status. One DuckDB statement, 10 seconds, 1,000 rows; files and "
    "network are out of reach. A result with the column `id` can be shown as samples."
)


@dataclass(frozen=True, slots=True)
class ShowRows:
    """The button that shows a SQL result as samples, and the ids it shows."""

    go: gr.Button
    ids: gr.State


def add_sql_console(bench: Workbench, who: Callable[[gr.Request], Person | None]) -> ShowRows:
    """Adds the console's components."""
    gr.Markdown(_HELP)
    code = gr.Code(
        _EXAMPLE, language="sql", interactive=True, label="Query", lines=6, elem_id="sql-code"
    )
    with gr.Row():
        run = gr.Button("Run", variant="primary", elem_id="sql-run")
        go = gr.Button("Show these rows", interactive=False, elem_id="sql-show")
    note = gr.Textbox(label="Answer", interactive=False, lines=1, elem_id="sql-note")
    table = gr.Dataframe(
        datatype="str",
        interactive=False,
        wrap=True,
        max_height=480,
        show_label=False,
        elem_id="sql-table",
    )
    ids = gr.State([])
    consoles: list[SqlConsole] = []  # one, made when first asked: it needs the index

    def answer(sql: str, request: gr.Request) -> tuple[Any, ...]:
        person = who(request)
        if person is None or not person.is_lead:
            return "Only a lead may query with SQL.", gr.skip(), [], gr.Button(interactive=False)
        try:
            if not consoles:
                consoles.append(SqlConsole(bench.query.index_path))
            result = consoles[0].run(sql or "", marks=review_marks(bench.desk.progress))
        except PolysceneError as exc:
            return str(exc), gr.skip(), [], gr.Button(interactive=False)
        words = f"{len(result.rows):,} row{'' if len(result.rows) == 1 else 's'}" + (
            ", more were cut off" if result.is_cut else ""
        )
        found = [one for one in result.ids() or () if bench.dataset.row_of(one) is not None]
        shown = {"headers": result.columns, "data": result.rows}
        return words, shown, found, gr.Button(interactive=bool(found))

    run.click(answer, [code], [note, table, ids, go], api_visibility="private")
    return ShowRows(go, ids)
