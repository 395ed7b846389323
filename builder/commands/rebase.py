"""`builder rebase`: brings what others published into a workspace, to publish on top of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builder.publish.rebase import Rebased

_MAX_IDS = 5


def rebase(
    onto: Annotated[
        str | None,
        typer.Option(
            help="Repository, as OWNER/NAME.", show_default="where this workspace published last"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be brought in; change nothing.")
    ] = False,
    attempts: Annotated[
        int, typer.Option(min=1, help="Attempts while the Hub does not answer.")
    ] = 5,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
) -> None:
    """Bring the latest published version into the workspace, and continue from it.

    Needed when somebody else published in between: `publish` refuses a release that
    would undo their work. Their rows, reviews and edits are added to yours; of two
    edits of one row the later one counts. The next `release` then continues their
    version. Releases of yours that were not published are put aside, and `prune`
    deletes them. Safe to repeat: an interrupted rebase is completed.
    """
    import sys

    from builder.progress import stage_bars
    from builder.publish.client import limit_waiting
    from builder.publish.progress import BYTE_STAGES
    from builder.publish.rebase import rebase as rebase_workspace
    from builder.publish.rebase import repository_of
    from builder.publish.repo import DatasetRepo
    from builder.publish.retry import retry_while_unreachable
    from builder.workspace import open_workspace

    opened = open_workspace(workspace)
    repo = DatasetRepo(onto or repository_of(opened))
    limit_waiting()
    with stage_bars(repo.repo_id, BYTE_STAGES) as progress:
        done = retry_while_unreachable(
            lambda: rebase_workspace(repo, opened, dry_run=dry_run, progress=progress),
            attempts=attempts,
            say=lambda line: print(line, file=sys.stderr),
        )
    _print_summary(done, workspace, dry_run)


def _print_summary(done: "Rebased", workspace: Path, dry_run: bool) -> None:
    if done.is_up_to_date:
        print(f"{workspace} already continues {done.repo_id} {done.version}; nothing to bring in.")
        return
    verb = "would bring in" if dry_run else "brought in"
    print(
        f"{done.repo_id} {done.version}: {verb} {done.num_rows:,} rows and {done.num_events:,} "
        f"review events" + (f", and drop {done.num_removed:,} rows" if done.num_removed else "")
    )
    if done.edited_by_both:
        ids = ", ".join(done.edited_by_both[:_MAX_IDS])
        more = ", …" if len(done.edited_by_both) > _MAX_IDS else ""
        print(
            f"  {len(done.edited_by_both):,} rows were edited on both sides, and the later edit "
            f"counts: {ids}{more}"
        )
    if done.superseded:
        print(f"  put aside, since they do not continue it: {', '.join(done.superseded)}")
    if done.changed_settings:
        print(
            f"  settings that the published configuration has other values for (yours stay): "
            f"{', '.join(done.changed_settings)}"
        )
    if done.num_surplus:
        print(
            f"  warning: `trim_surplus` is on, so the next release leaves out "
            f"{done.num_surplus:,} rows above the shares. Raise num_samples in "
            f"{workspace / 'config.yaml'}, or set trim_surplus: false."
        )
    if done.restores:
        print(
            f"  warning: {done.version} restores {done.restores}, but this workspace keeps its "
            f"newer rows and reviews. To continue from {done.restores} instead, `python -m "
            f"builder pull {done.repo_id}@{done.version}` into a new workspace."
        )
    if not dry_run:
        print(f"Continue with `python -m builder release --bump minor -w {workspace}`.")


def register(app: typer.Typer) -> None:
    app.command()(rebase)
