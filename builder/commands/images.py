"""`builder images`: fill the image store and look at it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.commands.engine_options import (
    EngineOption,
    NumWorkersOption,
    RayAddressOption,
    start_engine,
)
from builder.commands.images_add import WorkspaceOption, add, counted

if TYPE_CHECKING:
    from builder.images.store import ImageStore


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
        table.add_row("formats", counted(formats))
        table.add_row("licences", counted(licences))
        table.add_row("refused", counted(store.refused_by_reason()) or "0")
        console.print(table)


def list_images(
    workspace: WorkspaceOption = Path("workspace"),
    limit: Annotated[int, typer.Option(min=1, help="How many to print.")] = 50,
) -> None:
    """Print the images, one per line: hash, size, format, licence, group, source, SPDX id."""
    from itertools import islice

    with _store(workspace) as store:
        for record in islice(store.records(), limit):
            size = f"{record.width}x{record.height}"
            typer.echo(
                f"{record.sha256}\t{size}\t{record.format}\t{record.licence}\t"
                f"{record.group}\t{record.source}\t{record.licence_id or ''}"
            )
        if len(store) > limit:
            typer.echo(f"… {len(store) - limit:,} more; raise --limit", err=True)


def refused(workspace: WorkspaceOption = Path("workspace")) -> None:
    """Print the refused files, one per line: reason, name, explanation."""
    with _store(workspace) as store:
        for name, reason, what in store.refused():
            typer.echo(f"{reason}\t{name}\t{what}")


def normalise(workspace: WorkspaceOption = Path("workspace")) -> None:
    """Bring images that earlier versions of this program stored into the normal form.

    They become upright and lose their metadata (EXIF with GPS positions, comments). Plans, rows
    and reviews go on naming them as they did; the next release publishes the new files under
    their own hashes. Releases that exist stay as they are.
    """
    import warnings

    from rich.console import Console

    from builder.images.normalising import normalise_store
    from builder.images.store import ImageStore, ImageStoreError
    from builder.progress import progress_bar
    from builder.workspace import open_workspace

    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    console = Console(stderr=True)
    opened = open_workspace(workspace)
    with opened.locked(), ImageStore(opened.images_dir) as store:
        with progress_bar("images", store.num_not_normal(), console=console) as advance:
            summary = normalise_store(store, advance)
        num_changed = summary.num_stripped + summary.num_encoded
        console.print(
            f"images: {summary.num_checked:,} checked, {summary.num_stripped:,} freed of metadata, "
            f"{summary.num_encoded:,} encoded again (turned upright or converted), "
            f"{summary.num_checked - num_changed - len(summary.failed):,} normal already, "
            f"{len(summary.failed):,} cannot be decoded",
            highlight=False,
            soft_wrap=True,
        )
    if summary.failed:
        name, what = summary.failed[0]
        raise ImageStoreError(
            f"{workspace}: image {name[:12]}… cannot be decoded ({what})"
            + (f", nor can {len(summary.failed) - 1:,} more" if len(summary.failed) > 1 else "")
            + "; they stay as they are. Drop the rows that use them before a release."
        )


def neighbours(
    workspace: WorkspaceOption = Path("workspace"),
    sheet: Annotated[
        Path, typer.Option(help="PNG to write: images, each beside its neighbours.")
    ] = Path("neighbours.png"),
    rows: Annotated[int, typer.Option(min=1, max=100, help="Images shown.")] = 12,
    columns: Annotated[int, typer.Option(min=1, max=24, help="Neighbours of each.")] = 7,
    seed: Annotated[int, typer.Option(min=0, help="Draws which images are shown.")] = 0,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Configuration; the workspace's own if not given."),
    ] = None,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    workers: NumWorkersOption = None,
) -> None:
    """Draw a contact sheet of what the plan takes as positives and hard negatives.

    Each row is an image, then some of its neighbours from the nearest to the farthest, with their
    cosine. All lie inside the window, which is calibrated on the corpus: above its upper end
    images are copies of one another, below its lower end they are as alike as any two. Change
    `images.embedder` or `images.window` if the rows do not look right.
    """
    from rich.console import Console

    from builder.config import BuildConfig, load_config
    from builder.images.contact_sheet import draw_sheet, neighbour_rows
    from builder.images.embedders import load_embedder
    from builder.images.index import index_images
    from builder.images.neighbours import neighbours_of
    from builder.progress import progress_bar
    from builder.workspace import open_workspace

    opened = open_workspace(workspace)
    own = config or (opened.config_path if opened.config_path.exists() else None)
    limits = (load_config(own) if own else BuildConfig()).images
    console = Console(stderr=True)
    with (
        start_engine(engine, ray_address, workers) as runner,
        opened.locked(),
        _store(workspace) as store,
    ):
        index = index_images(store, limits.validation_share)
        embedder = load_embedder(limits.embedder, store)
        with progress_bar("embedding", len(index), console=console) as advance:
            found = neighbours_of(
                store,
                index,
                limits,
                embedder=embedder,
                on_progress=advance,
                engine=runner if engine == "ray" else None,
            )
        num_lonely = int((found.of_NK[:, 0] < 0).sum()) if len(index) else 0
        least, greatest = found.window
        subtitle = (
            f"{len(index):,} images, embedder {embedder.name}, cosine {least:.2f} to "
            f"{greatest:.2f}; {num_lonely:,} images have no neighbour"
        )
        drawn = neighbour_rows(index, found, rows, columns, seed)
        draw_sheet(store, drawn, "Images and their neighbours", subtitle, sheet)
    console.print(f"{sheet}: {subtitle}", highlight=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    images = typer.Typer(
        help="Fill the image store and look at it.", no_args_is_help=True, add_completion=False
    )
    images.command("add")(add)
    images.command("stats")(stats)
    images.command("list")(list_images)
    images.command("refused")(refused)
    images.command("neighbours")(neighbours)
    images.command("neighbors", hidden=True)(neighbours)
    images.command("normalise")(normalise)
    images.command("normalize", hidden=True)(normalise)
    app.add_typer(images, name="images")


def _store(workspace: Path) -> "ImageStore":
    from builder.images.store import ImageStore
    from builder.workspace import open_workspace

    return ImageStore(open_workspace(workspace).images_dir)
