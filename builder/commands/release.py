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
    audit: Annotated[
        list[Path] | None,
        typer.Option(
            help="Report of an audit (JSON) for the card, besides those in the stores.",
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
    [bold]load_dataset("WORKSPACE/releases/X.Y.Z", "Retrieval")[/bold] without any conversion.
    """
    import sys

    from builder import release as releases
    from builder.progress import stage_bars
    from builder.publish.rollback import warn_about_restored
    from builder.release.review_sources import newer_reviews
    from builder.release.versions import next_version
    from builder.workspace import open_workspace

    if (version is None) == (bump is None):
        raise releases.VersionError("Give either --version X.Y.Z or --bump minor.")
    opened = open_workspace(workspace)
    note = warn_about_restored(opened)
    if note is not None:
        print(f"warning: {note}", file=sys.stderr)
    with opened.locked(), releases.open_inputs(opened, reviews, audit or ()) as inputs:
        wanted = (
            releases.Version.parse(version)
            if version
            else next_version(opened.releases_dir, bump or "minor")
        )
        with stage_bars(str(wanted)) as progress:
            made = releases.release(inputs, wanted, opened.releases_dir, progress)
        newer = newer_reviews(opened, inputs.review_sources, inputs.events)
    _print_summary(made)
    if newer is not None:
        store, num_newer = newer
        print(
            f"note: {store} has {num_newer:,} newer review events that are not in this version. "
            f"Release again with --reviews {store} to include them.",
            file=sys.stderr,
        )


def _print_summary(made) -> None:
    manifest = made.manifest
    size = sum(e.num_bytes for e in (*manifest.shards, *manifest.files))
    verb = "made" if made.is_new else "already exists, with the same bytes"
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
