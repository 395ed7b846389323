"""`builder decontaminate`: keeps an evaluation set's images and texts out of the training data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builder.decontaminate.evaluation_set import EvaluationSetError, Unreadable

_NUM_NAMED = 5
#: Exit code where a release holds rows of the evaluation set.
FOUND_CODE = 3


def decontaminate(
    target: Annotated[
        str, typer.Argument(help="Workspace, release directory, or OWNER/NAME@X.Y.Z.")
    ],
    against: Annotated[
        str,
        typer.Option(
            help="Evaluation set: a folder (MMEB, XTD-10, or pictures and texts in Parquet, JSON "
            "Lines, CSV, text, zip, tar), or a dataset of the Hub as OWNER/NAME."
        ),
    ],
    distance: Annotated[
        int,
        typer.Option(min=0, max=100, help="Bits of 256 in which copies of a picture may differ."),
    ] = 40,
    words: Annotated[
        int, typer.Option(min=3, max=50, help="Words in a row that a text may not share.")
    ] = 8,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report; drop nothing from a workspace.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write what was found as JSON Lines.")
    ] = None,
) -> None:
    """Find samples whose images or texts are in an evaluation set, and drop them.

    Images are compared by perceptual hash, mirrored as well; texts by words in a row. In a
    workspace the samples are dropped with their reason, so that the next release leaves them out
    and the next build replaces them; they stay on disk, and what is made later is held to the same.
    A release never changes: its rows are reported, and the exit code is 3 if there are any. Where
    part of the evaluation set cannot be read, the rest is compared, and the exit code is 1.

        python -m builder decontaminate WORKSPACE --against ./MMEB-eval --dry-run
    """
    import sys
    from dataclasses import asdict

    import orjson

    from builder.decontaminate.evaluation_set import open_evaluation_set, read_evaluation_set
    from builder.decontaminate.index import index_evaluation_set
    from builder.decontaminate.workspace import (
        drop_from_workspace,
        find_in_release,
        find_in_workspace,
    )
    from builder.progress import progress_bar
    from builder.workspace import open_workspace
    from schemas.errors import naming
    from schemas.versions import open_version

    root = Path(target)
    workspace = open_workspace(root) if (root / "workspace.json").exists() else None
    version = None if workspace is not None else open_version(target)
    content = read_evaluation_set(open_evaluation_set(against))
    with progress_bar("evaluation set", None) as advance:
        index = index_evaluation_set(content, words, advance)
    print(
        f"evaluation set: {len(index.look_EB):,} different pictures, {index.num_texts:,} texts",
        file=sys.stderr,
    )
    with progress_bar("compared", None) as advance:
        if workspace is not None:
            found = find_in_workspace(workspace, index, distance, advance)
        else:
            assert version is not None
            found = find_in_release(version, index, distance, advance)
    if workspace is not None and not dry_run:
        drop_from_workspace(workspace, found)
    if output is not None:
        with naming(output):
            output.write_bytes(b"".join(orjson.dumps(asdict(m)) + b"\n" for m in found.samples))
    num_by_image = sum(match.what == "image" for match in found.samples)
    done = (
        f"{sum(found.dropped.values()):,} dropped"
        if workspace is not None and not dry_run
        else "none dropped"
    )
    print(
        f"decontaminate: {found.num_samples:,} samples, {len(found.samples):,} in the evaluation "
        f"set ({num_by_image:,} by image, {len(found.samples) - num_by_image:,} by text), {done}; "
        f"{len(found.images):,} images are in it"
    )
    if index.unreadable:
        raise _partly_compared(against, index.unreadable)
    if found.samples and workspace is None:
        raise typer.Exit(FOUND_CODE)


def _partly_compared(against: str, unreadable: Sequence["Unreadable"]) -> "EvaluationSetError":
    from builder.decontaminate.evaluation_set import EvaluationSetError

    named = "; ".join(f"{part.where} ({part.why})" for part in unreadable[:_NUM_NAMED])
    more = f"; {len(unreadable) - _NUM_NAMED:,} more" if len(unreadable) > _NUM_NAMED else ""
    return EvaluationSetError(
        f"{against}: {len(unreadable):,} parts could not be read, and samples that are in them "
        f"were not found: {named}{more}. Repair or remove them, then run the command again."
    )


def register(app: typer.Typer) -> None:
    app.command()(decontaminate)
