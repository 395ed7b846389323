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
    `load_dataset("WORKSPACE/releases/X.Y.Z", "Retrieval")` without any conversion.
    """
    from builder import api

    _print_summary(
        api.release(version, workspace, bump=bump, reviews=reviews, audits=audit or (), show=True)
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
