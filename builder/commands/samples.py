"""`builder samples`: looks at what a workspace holds, kept or dropped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from builder.samples.read import ShownSample

_Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="Directory of the build.")]
_Page = Annotated[
    Path | None,
    typer.Option(
        "--html", help="Write one HTML file instead, with pictures, prompts and replies in it."
    ),
]

samples_app = typer.Typer(
    help="Look at samples of a workspace, kept or dropped.", no_args_is_help=True
)


@samples_app.command("list")
def list_samples(
    workspace: _Workspace = Path("workspace"),
    dropped: Annotated[
        bool, typer.Option("--dropped", help="Dropped ones instead of kept ones.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Kept and dropped ones.")] = False,
    language: Annotated[
        list[str] | None, typer.Option("--language", "-l", help="Code; may be repeated.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="classification, vqa or retrieval; may be repeated.")
    ] = None,
    modality: Annotated[
        list[str] | None, typer.Option(help='Such as "IT->T"; may be repeated.')
    ] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="Why they were dropped; may be repeated.")
    ] = None,
    text: Annotated[str, typer.Option(help="Must occur in a text of the sample.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")] = 20,
    format: Annotated[
        Literal["table", "json"], typer.Option(help="json prints one object per line.")
    ] = "table",
    html: _Page = None,
) -> None:
    """List samples, kept ones unless asked otherwise.

    Works while a build goes on, and never writes to its ledger.

        python -m builder samples list --language ar --html arabic.html
        python -m builder samples list --reason wrong_language
    """
    from builder.ledger.ledger import Ledger
    from builder.samples.read import SampleFilter, find_samples
    from builder.workspace import open_workspace

    opened = open_workspace(workspace)
    wanted = SampleFilter(
        state="all" if every else "dropped" if dropped else "kept",
        languages=tuple(language or ()),
        task_types=tuple(task or ()),
        modalities=tuple(modality or ()),
        reasons=tuple(reason or ()),
        text=text,
    )
    with Ledger(opened.ledger_path) as ledger:
        found = list(find_samples(ledger, wanted, limit))
        if html is not None:
            _write_page(opened.images_dir, ledger, found, html, f"Samples of {workspace.name}")
            return
    if format == "json":
        _print_json(found)
    else:
        _print_table(found, limit)


@samples_app.command("show")
def show_sample(
    sample_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of a sample or job; its beginning is enough.")
    ],
    workspace: _Workspace = Path("workspace"),
    format: Annotated[Literal["text", "json"], typer.Option(help="How to print it.")] = "text",
    html: _Page = None,
) -> None:
    """Show one sample in full: its texts, prompts, replies, and why it was dropped if it was.

    python -m builder samples show 3ead3ae9
    """
    from dataclasses import asdict

    import orjson

    from builder.ledger.ledger import Ledger
    from builder.samples.read import get_sample
    from builder.workspace import open_workspace

    opened = open_workspace(workspace)
    with Ledger(opened.ledger_path) as ledger:
        found = get_sample(ledger, sample_id)
        if html is not None:
            _write_page(opened.images_dir, ledger, [found], html, f"Sample {sample_id}")
            return
    if format == "json":
        whole = {**found.as_json(), "provenance": found.provenance}
        whole["exchanges"] = [asdict(exchange) for exchange in found.exchanges]
        print(orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode())
    else:
        _print_whole(found)


def _write_page(
    images_dir: Path, ledger: Any, found: "list[ShownSample]", path: Path, title: str
) -> None:
    import sys

    from builder.images.store import ImageStore
    from builder.samples.page import MAX_SAMPLES, render_page
    from builder.samples.read import with_exchanges
    from schemas.errors import naming

    whole = list(with_exchanges(ledger, found[:MAX_SAMPLES]))
    with ImageStore(images_dir) as store:
        page = render_page(whole, store, title=title)
    with naming(path):
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    print(f"{path}: {len(whole)} samples, {len(page) / 1e6:.1f} MB", file=sys.stderr)


def _print_json(found: "list[ShownSample]") -> None:
    import orjson

    for sample in found:
        print(orjson.dumps(sample.as_json()).decode())


def _print_table(found: "list[ShownSample]", limit: int) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("id", "language", "cell", "state", "query", "positive", box=None, pad_edge=False)
    for sample in found:
        content = sample.sample or {}
        cells = (
            (sample.id or sample.job_id)[:12],
            sample.language,
            f"{sample.task_type} {sample.modality}",
            sample.reason or "kept",
            _one_line(content.get("query_text") or content.get("instruction")),
            _one_line(content.get("positive_text")),
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    more = "; there may be more, see --limit" if len(found) == limit else ""
    print(f"samples: {len(found)} shown{more}", file=sys.stderr)


def _one_line(text: Any) -> str:
    from builder.images.record import printable

    if not isinstance(text, str):
        return "·"
    line = printable(" ".join(text.split()))
    return line if len(line) <= 60 else f"{line[:59]}…"


def _print_whole(found: "ShownSample") -> None:
    from builder.images.record import printable

    def say(name: str, value: object) -> None:
        if value not in (None, "", [], ()):
            lines = [printable(line) for line in str(value).splitlines()] or [""]
            print(f"{name}: " + "\n  ".join(lines))

    say("id", found.id or found.job_id)
    say("state", "kept" if found.reason is None else f"dropped: {found.reason}")
    say("cell", f"{found.task_type} {found.modality}, {found.language}")
    for name, value in (found.sample or {}).items():
        if name not in ("id", "language", "task_type", "modality"):
            say(name, value)
    for exchange in found.exchanges:
        status = "no reply" if exchange.status is None else f"status {exchange.status}"
        print(f"\n--- {exchange.kind} · {exchange.model or 'model not noted'} · {status}")
        say("error", exchange.error)
        say("system prompt", exchange.system)
        say("prompt", exchange.user)
        say("reply", exchange.reply)


def register(app: typer.Typer) -> None:
    app.add_typer(samples_app, name="samples")
