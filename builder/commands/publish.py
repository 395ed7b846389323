"""`builder publish`: a release to a Hub, as one commit and one tag."""

from pathlib import Path
from typing import Annotated

import typer


def publish(
    repo_id: Annotated[str, typer.Argument(help="Where to: OWNER/NAME.")],
    version: Annotated[
        str | None, typer.Option(help="Version to publish [default: the latest].")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Publish to a repository that has somebody else's files."),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Do not ask for confirmation if the card names another repository."
        ),
    ] = False,
    attempts: Annotated[
        int, typer.Option(min=1, help="Attempts while the Hub does not answer.")
    ] = 4,
    timeout_s: Annotated[
        float,
        typer.Option(min=0.1, help="Longest wait for the next byte from the Hub, in seconds."),
    ] = 120.0,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
) -> None:
    """Publish a version on a Hub: one commit, then one tag vX.Y.Z.

    The Hub is huggingface.co or whatever HF_ENDPOINT names; the token comes from
    HF_TOKEN or [bold]hf auth login[/bold]. Files are checked against the manifest
    first. Safe to repeat: an interrupted publication is finished, a finished one
    uploads nothing, and a tag never changes. Files that no version put there are
    never deleted, and replaced only with --adopt. If the card names another
    repository, warns before anything is sent, and on a terminal asks for confirmation.
    """
    import sys

    from builder import publish as publishing
    from builder.progress import stage_bars
    from builder.publish.card_address import warn_about_card
    from builder.publish.progress import BYTE_STAGES
    from builder.release.versions import find_release
    from builder.workspace import open_workspace
    from schemas.manifest import read_manifest

    directory = find_release(open_workspace(workspace).releases_dir, version)
    publishing.limit_waiting(timeout_s)
    warning = warn_about_card(read_manifest(directory), repo_id, workspace)
    if warning is not None:
        print(f"warning: {warning}", file=sys.stderr)
        if not yes and sys.stdin.isatty() and sys.stderr.isatty():
            typer.confirm("Publish it anyway?", abort=True, err=True)
    repo = publishing.DatasetRepo(repo_id)
    with stage_bars(directory.name, BYTE_STAGES) as progress:
        done = publishing.publish(
            directory,
            repo,
            private=private,
            adopt=adopt,
            attempts=attempts,
            progress=progress,
        )
    if not done.made_commit and not done.made_tag:
        print(f"{repo_id}: version {done.version} is already published; nothing was uploaded.")
    elif not done.made_commit:
        print(f"{repo_id}: version {done.version} was already committed; added its tag.")
    else:
        print(
            f"{repo_id}: published version {done.version}: {done.num_uploaded} files, "
            f"{done.num_uploaded_bytes / 1e6:,.1f} MB in one commit"
            + (f", {done.num_deleted} old files removed" if done.num_deleted else "")
        )
    print(f"  commit {done.commit[:12]}, tag {done.version.tag}, {repo.api.endpoint}")


def register(app: typer.Typer) -> None:
    app.command()(publish)
