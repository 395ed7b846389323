"""`builder publish`: a release to a Hub, as one commit and one tag."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builder.publish.publish import Published


def publish(
    repo_id: Annotated[str, typer.Argument(help="Where to: OWNER/NAME.")],
    version: Annotated[
        str | None, typer.Option(help="Version to publish.", show_default="the latest")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Publish to a repository that has somebody else's files."),
    ] = False,
    branch: Annotated[
        str | None,
        typer.Option(
            help="Branch to commit to, made if missing, or refs/pr/N of a pull request. Only a "
            "version on main gets a tag.",
            show_default="main",
        ),
    ] = None,
    create_pr: Annotated[
        bool,
        typer.Option(
            "--create-pr",
            help="Open a pull request; once it is merged, publish again to add the tag.",
        ),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Do not ask for confirmation if the card names another repository."
        ),
    ] = False,
    attempts: Annotated[
        int,
        typer.Option(min=1, help="Attempts while the Hub does not answer, or breaks off."),
    ] = 5,
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
    HF_TOKEN or `hf auth login`. Files are checked against the manifest
    first. Safe to repeat: an interrupted publication is finished, a finished one
    uploads nothing, and a tag never changes. Files that no version put there are
    never deleted, and replaced only with --adopt. A release that does not continue
    the version on the Hub is refused, since it would undo what somebody else
    published; `rebase` brings that in. If the card names another
    repository, warns before anything is sent, and on a terminal asks for confirmation.
    """
    import sys

    from builder import api
    from builder.publish.errors import PublishError

    if branch is not None and create_pr:
        raise PublishError("Give either --branch or --create-pr: a pull request is for main.")

    def ask(warning: str) -> None:
        if not yes and sys.stdin.isatty() and sys.stderr.isatty():
            typer.confirm("Publish it anyway?", abort=True, err=True)

    done = api.publish(
        repo_id,
        version,
        workspace,
        private=private,
        adopt=adopt,
        branch=branch or "main",
        create_pr=create_pr,
        attempts=attempts,
        timeout_s=timeout_s,
        show=True,
        on_warning=ask,
    )
    _print_summary(done, None if branch == "main" else branch)


def _print_summary(done: "Published", branch: str | None) -> None:
    from huggingface_hub import constants

    request = done.pull_request
    where = f"{done.repo_id}, branch {branch}" if branch else done.repo_id
    if done.made_commit:
        verb = f"opened pull request {request.number} with" if request else "published"
        print(
            f"{where}: {verb} version {done.version}: {done.num_uploaded} files, "
            f"{done.num_uploaded_bytes / 1e6:,.1f} MB in one commit"
            + (f", {done.num_deleted} old files removed" if done.num_deleted else "")
        )
    elif request is not None:
        print(f"{where}: pull request {request.number} already has version {done.version}.")
    elif done.made_tag:
        print(f"{where}: version {done.version} was already committed; added its tag.")
    else:
        print(f"{where}: version {done.version} is already published; nothing was uploaded.")
    if request is not None:
        print(f"  {request.url}; once it is merged, publish again to add tag {done.version.tag}")
    elif branch is None:
        print(f"  commit {done.commit[:12]}, tag {done.version.tag}, {constants.ENDPOINT}")
    else:
        print(f"  commit {done.commit[:12]}, {constants.ENDPOINT}; a version on main gets a tag")


def register(app: typer.Typer) -> None:
    app.command()(publish)
