"""`builder prune`: deletes old releases of a workspace."""

from pathlib import Path
from typing import Annotated

import typer


def prune(
    keep: Annotated[int, typer.Option(min=1, help="Number of latest releases to keep.")] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted; delete nothing.")
    ] = False,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
) -> None:
    """Delete old releases of the workspace.

    The latest release stays, and so do its predecessor, the one it restores, and the
    one that is published. Rows, images and reviews are not touched, and nothing on a
    Hub is. Releases that `rebase` put aside are deleted too.
    """
    from builder.release.prune import prune as prune_releases
    from builder.workspace import open_workspace

    done = prune_releases(open_workspace(workspace), keep, dry_run=dry_run)
    verb = "would free" if dry_run else "freed"
    names = ", ".join(done.names) or "nothing to delete"
    print(f"{workspace / 'releases'}: {names}; {verb} {done.num_bytes / 1e6:,.1f} MB")
    for version, reason in done.kept.items():
        print(f"  kept {version}: {reason}")


def register(app: typer.Typer) -> None:
    app.command()(prune)
