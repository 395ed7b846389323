"""`builder images`: fill the image store and look at it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builder.images.adding import AddSummary
    from builder.images.store import ImageStore

WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", help="Directory of this build; made if missing.")
]


def add(
    source_name: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of JPEG, PNG or WebP files, or one of them, WebDataset tars, Parquet "
            "files, a dataset on the Hub (owner/name), or `pictograms`.",
        ),
    ],
    workspace: WorkspaceOption = Path("workspace"),
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of images whose source states none: CC-BY-4.0, …"),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Published as the images' origin, before each file's path.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="folder, file, webdataset, parquet, dataset; detected if not given."),
    ] = None,
    group_by_folder: Annotated[
        bool,
        typer.Option(
            "--group-by-folder",
            help="Images of one subfolder show one thing: they share a split, and none is a "
            "hard negative for another.",
        ),
    ] = False,
    image_column: Annotated[
        str | None, typer.Option(help="Of Parquet and datasets: the column of images.")
    ] = None,
    dataset_config: Annotated[str | None, typer.Option(help="Of a dataset on the Hub.")] = None,
    split: Annotated[str, typer.Option(help="Of a dataset.")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many files.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration whose `images` section sets the limits.")
    ] = None,
) -> None:
    """Add images to the workspace; those it already has are skipped.

    Each file is checked: unreadable, truncated, animated, too small or far too large ones are
    refused with a reason, counted, and listed by `images refused`. The command fails if every
    file is refused.
    """
    from itertools import islice

    from rich.console import Console

    from builder.config import BuildConfig, load_config
    from builder.images.adding import add_images
    from builder.images.sources import KINDS, open_source
    from builder.images.store import ImageStore
    from builder.progress import progress_bar
    from builder.workspace import open_workspace

    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"{kind!r}; choose from {', '.join(KINDS)}", param_hint="--kind")
    limits = (load_config(config) if config else BuildConfig()).images
    opened = open_source(
        source_name,
        limits.max_image_bytes,
        kind=kind,  # pyright: ignore[reportArgumentType]  # checked against KINDS above
        group_by_folder=group_by_folder,
        image_column=image_column,
        config=dataset_config,
        split=split,
    )
    console = Console(stderr=True)
    opened_workspace = open_workspace(workspace, create=True)
    with opened_workspace.locked(), ImageStore(opened_workspace.images_dir, limits) as store:
        total = limit if opened.num_files is None else min(opened.num_files, limit or 10**12)
        with progress_bar("images", total, console=console) as advance:
            summary = add_images(
                store,
                islice(opened.files, limit),
                licence=licence,
                source=source,
                on_progress=advance,
            )
        for line in _summary_lines(summary, len(store), workspace):
            console.print(line, highlight=False, soft_wrap=True)
    if summary.num_added + summary.num_present == 0:
        raise _no_images(source_name, summary)


def stats(workspace: WorkspaceOption = Path("workspace")) -> None:
    """Count the images by format, licence and split group."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    with _store(workspace) as store:
        formats: Counter[str] = Counter()
        licences: Counter[str] = Counter()
        groups: set[str] = set()
        num_bytes = num_pixels = 0
        for record in store.records():
            formats[record.format] += 1
            licences[record.licence] += 1
            groups.add(record.group)
            num_bytes += record.num_bytes
            num_pixels += record.width * record.height
        table = Table(show_header=False, title=str(workspace), title_justify="left")
        num_images = formats.total()
        table.add_row("images", f"{num_images:,}")
        table.add_row("groups", f"{len(groups):,}")
        table.add_row("bytes", f"{num_bytes:,}")
        table.add_row("mean size", f"{num_pixels / max(1, num_images) / 1e6:.2f} megapixels")
        table.add_row("formats", _counted(formats))
        table.add_row("licences", _counted(licences))
        table.add_row("refused", _counted(store.refused_by_reason()) or "0")
        console.print(table)


def list_images(
    workspace: WorkspaceOption = Path("workspace"),
    limit: Annotated[int, typer.Option(min=1, help="How many to print.")] = 50,
) -> None:
    """Print the images, one per line: hash, size, format, licence, group, source."""
    from itertools import islice

    with _store(workspace) as store:
        for record in islice(store.records(), limit):
            size = f"{record.width}x{record.height}"
            typer.echo(
                f"{record.sha256}\t{size}\t{record.format}\t{record.licence}\t"
                f"{record.group}\t{record.source}"
            )
        if len(store) > limit:
            typer.echo(f"… {len(store) - limit:,} more; raise --limit", err=True)


def refused(workspace: WorkspaceOption = Path("workspace")) -> None:
    """Print the refused files, one per line: reason, name, explanation."""
    with _store(workspace) as store:
        for name, reason, what in store.refused():
            typer.echo(f"{reason}\t{name}\t{what}")


def register(app: typer.Typer) -> None:
    images = typer.Typer(
        help="Fill the image store and look at it.", no_args_is_help=True, add_completion=False
    )
    images.command("add")(add)
    images.command("stats")(stats)
    images.command("list")(list_images)
    images.command("refused")(refused)
    app.add_typer(images, name="images")


def _summary_lines(summary: "AddSummary", num_stored: int, workspace: Path) -> Iterator[str]:
    num_refused = summary.refused.total()
    yield (
        f"images: {summary.num_seen:,} seen, {summary.num_added:,} added, "
        f"{summary.num_present:,} already there, {num_refused:,} refused"
        + (f" ({_counted(summary.refused)})" if num_refused else "")
        + f"; {num_stored:,} in the store"
    )
    if summary.num_misnamed:
        yield f"{summary.num_misnamed:,} were kept although their suffix belongs to another format."
    if num_refused:
        yield f"Which were refused: python -m builder images refused -w {workspace}"


def _store(workspace: Path) -> "ImageStore":
    from builder.images.store import ImageStore
    from builder.workspace import open_workspace

    return ImageStore(open_workspace(workspace).images_dir)


def _counted(counts: "Counter[str]") -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _no_images(name: str, summary: "AddSummary") -> Exception:
    from builder.images.sources.choose import SourceError

    if summary.num_seen == 0:
        return SourceError(f"{name}: it has no image file. Name another folder, or use --kind.")
    return SourceError(
        f"{name}: every image was refused ({_counted(summary.refused)}). "
        "Fix the files, or name another source."
    )
