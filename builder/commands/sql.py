"""`builder sql`: asks a question of a workspace in SQL."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_TABLE_ROWS = 100
_CELL_CHARS = 80


def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement, as DuckDB reads it.")],
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
    format: Annotated[
        Literal["table", "csv", "json", "parquet"],
        typer.Option("--format", "-f", help="A table shows 100 rows; the others give all of them."),
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; stdout if not given.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds until the query is stopped.")
    ] = 30.0,
) -> None:
    """Ask a question about a workspace in SQL: read-only, bounded in time and memory.

    Views: samples (kept), dropped (with their reason), images, provenance, votes (of the
    language identifiers), reviews. Their definitions are in builder/questions/views/*.sql, and
    `sql "DESCRIBE samples"` lists columns. The query runs in a process that can write nothing,
    read no other file, and load no extension.

        python -m builder sql "SELECT language, count(*) AS n FROM samples GROUP BY 1 ORDER BY n"
        python -m builder sql "SELECT reason, count(*) FROM dropped GROUP BY 1" --format csv
    """
    import sys

    from builder.api.showing import stages
    from builder.questions.ask import ask, question_limits, write_answer
    from builder.questions.database import open_database
    from builder.workspace import open_workspace
    from schemas.errors import naming

    if format == "parquet" and output is None:
        raise typer.BadParameter("Parquet is not for a terminal: name a file with --output.")
    opened = open_workspace(workspace)
    with stages(True, "reading the workspace") as progress:
        database = open_database(opened, progress)
    with ask(database, query, question_limits(timeout)) as answer:
        if format == "table":
            _print_table(answer)
        elif output is None:
            write_answer(answer, format, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            temporary = output.with_name(f"{output.name}.part")
            try:
                with naming(output), temporary.open("wb") as file:
                    num_rows = write_answer(answer, format, file)
                temporary.replace(output)
            finally:
                temporary.unlink(missing_ok=True)
            print(f"{output}: {num_rows:,} rows", file=sys.stderr)


def _print_table(answer: object) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from builder.images.record import printable
    from builder.questions.ask import Answer, first_rows

    assert isinstance(answer, Answer)
    rows, is_cut = first_rows(answer, _TABLE_ROWS)
    table = Table(*answer.schema.names, box=None, pad_edge=False)
    for row in rows:
        cells = [printable(" ".join(cell.split())) for cell in row]
        table.add_row(
            *(Text(c if len(c) <= _CELL_CHARS else f"{c[: _CELL_CHARS - 1]}…") for c in cells)
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    more = "; there are more, see --format" if is_cut else ""
    print(f"sql: {len(rows):,} rows{more}", file=sys.stderr)


def register(app: typer.Typer) -> None:
    app.command()(sql)
