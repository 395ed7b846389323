"""`builder images`: fill the image store and look at it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.commands.engine_options import (
    EngineOption,
    NumWorkersOption,
    RayAddressOption,
    start_engine,
)

if TYPE_CHECKING:
    from builder.images.adding import AddSummary
    from builder.images.store import ImageStore

#: Some sources are one stream: what a worker read could not be told from what another did.
_READ_HERE = (
    "a source of kind {} is read and checked by this process; workers hash it and look for copies"
)
WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", help="Directory of this build; made if missing.")
]


def add(
    source_name: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of image files, or one of them, WebDataset tars, Parquet files of "
            "images or of their URLs, an address (s3://, gs://, hf://, …) of any of these, a "
            "dataset on the Hub (owner/name), or `pictograms`.",
        ),
    ],
    workspace: WorkspaceOption = Path("workspace"),
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            "--license",
            help="Licence of images whose source states none: CC-BY-4.0, …",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Published as the images' origin, before each file's path.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="folder, file, webdataset, parquet, urls, dataset; detected if not given."
        ),
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
        str | None, typer.Option(help="Of Parquet and datasets: the column of images or URLs.")
    ] = None,
    dataset_config: Annotated[str | None, typer.Option(help="Of a dataset on the Hub.")] = None,
    split: Annotated[str, typer.Option(help="Of a dataset.")] = "train",
    allow_private_hosts: Annotated[
        bool,
        typer.Option(
            "--allow-private-hosts",
            help="Of URLs: also download from this machine and the local network.",
        ),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many files.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Configuration whose `images` section sets the limits."
        ),
    ] = None,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    workers: NumWorkersOption = None,
    staging: Annotated[
        str | None,
        typer.Option(
            help="Where workers keep what they found, so that nothing is done twice: a folder or "
            "an address (s3://…) that all of them reach; a folder of the workspace if not given."
        ),
    ] = None,
) -> None:
    """Add images to the workspace; those it already has are skipped.

    Each file is checked: unreadable, truncated, animated, blank, too small or far too large ones
    are refused with a reason, counted, and listed by `images refused`. What is stored is upright
    and without metadata. Images given by URL are downloaded; run again, the command goes on where
    it stopped. It fails if every file is refused, or if a part of the source cannot be read.
    """
    import warnings
    from itertools import islice

    from rich.console import Console

    from builder.config import BuildConfig, load_config
    from builder.engines import is_url
    from builder.images.adding import add_images
    from builder.images.copies import join_copies
    from builder.images.sources import KINDS, Kind, Source, UrlOptions, open_source
    from builder.images.staging import ReadOptions, add_staged, open_units
    from builder.images.store import ImageStore
    from builder.progress import progress_bar
    from builder.workspace import open_workspace

    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"{kind!r}; choose from {', '.join(KINDS)}", param_hint="--kind")
    # Pillow warns of every file with odd metadata, none of which is kept.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    limits = (load_config(config) if config else BuildConfig()).images
    console = Console(stderr=True)
    stores: list[ImageStore] = []  # opened once the source is known to exist
    named: Kind | None = kind  # pyright: ignore[reportAssignmentType]  # checked against KINDS
    if is_url(source_name):
        opened, units = Source("folder", iter(())), open_units(source_name, named)
    else:
        opened = open_source(
            source_name,
            limits.max_image_bytes,
            kind=named,
            group_by_folder=group_by_folder,
            image_column=image_column,
            config=dataset_config,
            split=split,
            urls=UrlOptions(allow_private_hosts, lambda url: stores[0].fetched(url)),
        )
        units = open_units(source_name, opened.kind) if engine == "ray" else None
    if staging is not None and units is None:
        raise typer.BadParameter("only for --engine ray and addresses", param_hint="--staging")
    opened_workspace = open_workspace(workspace, create=True)
    with (
        start_engine(engine, ray_address, workers) as runner,
        opened_workspace.locked(),
        ImageStore(opened_workspace.images_dir, limits) as store,
    ):
        stores.append(store)
        # Jobs that are planned name their images' groups, so those stay.
        has_begun = opened_workspace.ledger_path.exists()
        settled = {record.name for record in store.records()} if has_begun else set[str]()
        if opened.note:
            console.print(f"{source_name}: {opened.note}", highlight=False, soft_wrap=True)
        if units is None and engine == "ray":
            console.print(_READ_HERE.format(opened.kind), highlight=False, soft_wrap=True)
        total = limit if opened.num_files is None else min(opened.num_files, limit or 10**12)
        with progress_bar("images", total, console=console) as advance:
            if units is not None:
                staged = add_staged(
                    store,
                    units,
                    runner,
                    ReadOptions(limits, group_by_folder, image_column),
                    staging=staging,
                    licence=licence,
                    origin=source,
                    limit=limit,
                    on_progress=advance,
                )
                summary = staged.files
            else:
                staged = None
                summary = add_images(
                    store,
                    islice(opened.files, limit),
                    licence=licence,
                    source=source,
                    on_progress=advance,
                )
        for line in _summary_lines(summary, len(store), workspace, licence):
            console.print(line, highlight=False, soft_wrap=True)
        if staged is not None:
            console.print(staged.line(engine), highlight=False, soft_wrap=True)
        with progress_bar("copies", None, console=console) as advance:
            joined = join_copies(
                store,
                limits,
                settled=settled,
                on_progress=advance,
                engine=runner if engine == "ray" else None,
            )
        if joined.num_joined:
            console.print(
                f"copies: {joined.num_joined:,} groups show what another shows and joined it, so "
                "that they share a split and are no hard negatives of one another",
                highlight=False,
                soft_wrap=True,
            )
    if summary.broken is not None:
        raise summary.broken
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


def _licence_lines(summary: "AddSummary", licence: str | None) -> Iterator[str]:
    """How many images have a licence, and whose word it is."""
    if summary.num_added:
        unknown = summary.num_added - summary.num_own_licence - summary.num_given_licence
        given = f", {summary.num_given_licence:,} took {licence}" if licence else ""
        yield (
            f"licences: {summary.num_own_licence:,} stated by the source{given}, "
            f"{unknown:,} unknown"
        )


def _summary_lines(
    summary: "AddSummary", num_stored: int, workspace: Path, licence: str | None
) -> Iterator[str]:
    num_refused = summary.refused.total()
    yield (
        f"images: {summary.num_seen:,} seen, {summary.num_added:,} added, "
        f"{summary.num_present:,} already there, {num_refused:,} refused"
        + (f" ({_counted(summary.refused)})" if num_refused else "")
        + f"; {num_stored:,} in the store"
    )
    yield from _licence_lines(summary, licence)
    if summary.num_stripped or summary.num_encoded:
        yield (
            f"{summary.num_stripped:,} lost their metadata (EXIF and the like), and "
            f"{summary.num_encoded:,} were encoded again: turned upright or converted."
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
