"""`builder export`: a release in another trainer's format."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def export(
    directory: Annotated[Path, typer.Argument(help="New directory to write.")],
    to: Annotated[
        Literal["mme5", "vlm2vec", "sentence-transformers", "webdataset"],
        typer.Option("--format", help="Format to write."),
    ],
    version: Annotated[
        str | None, typer.Option(help="Version to export.", show_default="the latest")
    ] = None,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
) -> None:
    """Write a version for another trainer.

    `mme5`: the columns that mmE5's trainer reads, images as files.

    `vlm2vec`: the columns of MMEB-train, which VLM2Vec reads, images as files.

    `sentence-transformers`: anchor, positive, negative.

    `webdataset`: tar files with a JSON file and the images of each sample.
    """
    from builder.progress import stage_bars
    from builder.publish.exports import FORMATS
    from builder.release.versions import find_release
    from builder.workspace import open_workspace

    release = find_release(open_workspace(workspace).releases_dir, version)
    with stage_bars(release.name) as progress:
        done = FORMATS[to](release, directory, progress)
    print(
        f"{done.directory}: {done.num_rows:,} samples of version {release.name}, "
        f"{done.num_files:,} files. Read it with: {done.how_to_read}"
    )


def register(app: typer.Typer) -> None:
    app.command()(export)
