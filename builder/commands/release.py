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
        list[Path] | None,
        typer.Option(
            help="A review store, or an export of one; may be given several times. "
            "Default: reviews.jsonl and reviews.sqlite of the workspace.",
            show_default=False,
        ),
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

    from builder import release as releases
    from builder.progress import stage_bars
    from builder.publish.rollback import note_on_restored
    from builder.release.review_sources import newer_reviews
    from builder.release.versions import next_version
    from builder.workspace import open_workspace

    if (version is None) == (bump is None):
        raise releases.VersionError("Give either --version X.Y.Z or --bump minor.")
    place = open_workspace(workspace)
    note = note_on_restored(place)
    if note is not None:
        print(f"warning: {note}", file=sys.stderr)
    with place.locked(), releases.open_inputs(place, reviews) as inputs:
        wanted = (
            releases.Version.parse(version)
            if version
            else next_version(place.releases_dir, bump or "minor")
        )
        with stage_bars(str(wanted)) as progress:
            made = releases.release(inputs, wanted, place.releases_dir, progress)
        newer = newer_reviews(place, inputs.review_sources, inputs.events)
    _say(made)
    if newer is not None:
        store, num_newer = newer
        print(
            f"note: {store} holds {num_newer:,} newer review events that are not in this version. "
            f"Release again with --reviews {store} to take them in.",
            file=sys.stderr,
        )


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
