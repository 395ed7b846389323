"""`builder release`: an immutable version in the workspace."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def release(
    version: Annotated[str | None, typer.Option(help="Version to make, as X.Y.Z.")] = None,
    bump: Annotated[
        Literal["patch", "minor", "major"] | None,
        typer.Option(help="Raise this part of the latest version instead."),
    ] = None,
    reviews: Annotated[
        Path | None,
        typer.Option(help="Review events (JSON Lines) [default: WORKSPACE/reviews.jsonl]."),
    ] = None,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
) -> None:
    """Make a version: kept samples, review events and policy to an immutable directory.

    It holds card, Parquet shards, manifest, quality report, plots, Croissant
    metadata and changelog, and loads with
    [bold]load_dataset("WORKSPACE/releases/X.Y.Z", "Retrieval")[/bold] as it stands.
    """
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from builder import release as releases
    from builder.publish.rollback import note_on_restored
    from builder.release.versions import next_version
    from builder.workspace import open_workspace

    if (version is None) == (bump is None):
        raise releases.VersionError("Give either --version X.Y.Z or --bump minor.")
    place = open_workspace(workspace)
    stderr = Console(stderr=True)
    note = note_on_restored(place)
    if note is not None:
        print(f"warning: {note}", file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        place.locked(),
        releases.open_inputs(place, reviews) as inputs,
        Progress(*columns, TimeElapsedColumn(), console=stderr) as bars,
    ):
        wanted = (
            releases.Version.parse(version)
            if version
            else next_version(place.releases_dir, bump or "minor")
        )
        bar = bars.add_task(f"release {wanted}", total=sum(inputs.counts.values()))

        def progress(stage: str, done: int, total: int) -> None:
            bars.update(bar, description=f"release {wanted}: {stage}")
            if total:
                bars.update(bar, completed=done, total=total)

        made = releases.release(inputs, wanted, place.releases_dir, progress)
    _say(made)


def _say(made) -> None:
    manifest = made.manifest
    size = sum(e.num_bytes for e in (*manifest.shards, *manifest.files))
    verb = "made" if made.is_new else "was there already, with the same bytes"
    print(f"release {manifest.version} {verb}: {made.directory}")
    print(
        f"  {manifest.num_samples:,} samples, {len(manifest.languages)} languages, "
        f"{len(manifest.modalities)} modality combinations, {len(manifest.shards)} shards "
        f"({made.num_reused_shards} unchanged), {size / 1e6:,.1f} MB"
    )
    for line in manifest.changelog:
        print(f"  {line}")


def register(app: typer.Typer) -> None:
    app.command()(release)
