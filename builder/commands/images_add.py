"""`builder images add`: reads a source, checks its images and puts them into the store."""

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
    from rich.console import Console

    from builder.config import ImagesConfig
    from builder.engines import Engine
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
    are refused with a reason, counted, and listed by `images refused`; so are those that the model
    named under `images.safety` takes for unsafe. What is stored is upright and without metadata.
    Images given by URL are downloaded; run again, the command goes on where it stopped. It fails
    if every file is refused, or if a part of the source cannot be read.
    """
    import warnings
    from itertools import islice

    from rich.console import Console

    from builder.config import BuildConfig, ConfigError, load_config
    from builder.engines import is_url
    from builder.images.adding import add_images
    from builder.images.safety import SafetyModel
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
    if limits.safety is not None and units is not None:
        raise ConfigError(
            "images.safety: new images are shown to the model by this process alone, not by "
            "workers, and files at an address are read by workers. Copy the files to this machine "
            "and leave --engine ray out, or leave images.safety out."
        )
    safety = SafetyModel(limits.safety) if limits.safety is not None else None
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
                    safety=safety,
                    on_progress=advance,
                )
        for line in _summary_lines(summary, len(store), workspace, licence):
            console.print(line, highlight=False, soft_wrap=True)
        if staged is not None:
            console.print(staged.line(engine), highlight=False, soft_wrap=True)
        _join_copies(store, limits, settled, runner if engine == "ray" else None, console)
    if summary.broken is not None:
        raise summary.broken
    if summary.num_added + summary.num_present == 0:
        raise _no_images(source_name, summary)


def _join_copies(
    store: "ImageStore",
    limits: "ImagesConfig",
    settled: set[str],
    engine: "Engine | None",
    console: "Console",
) -> None:
    """Puts copies of one picture into one group, and says how many there were."""
    from builder.images.copies import join_copies
    from builder.progress import progress_bar

    with progress_bar("copies", None, console=console) as advance:
        joined = join_copies(store, limits, settled=settled, on_progress=advance, engine=engine)
    if joined.num_joined:
        console.print(
            f"copies: {joined.num_joined:,} groups show what another shows and joined it, so "
            "that they share a split and are no hard negatives of one another",
            highlight=False,
            soft_wrap=True,
        )


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
        + (f" ({counted(summary.refused)})" if num_refused else "")
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


def counted(counts: "Counter[str]") -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _no_images(name: str, summary: "AddSummary") -> Exception:
    from builder.images.sources.choose import SourceError

    if summary.num_seen == 0:
        return SourceError(f"{name}: it has no image file. Name another folder, or use --kind.")
    return SourceError(
        f"{name}: every image was refused ({counted(summary.refused)}). "
        "Fix the files, or name another source."
    )
