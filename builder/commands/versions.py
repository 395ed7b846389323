"""`builder versions`, `diff`, `rollback` and `pull`: lists, compares and restores versions."""

from pathlib import Path
from typing import Annotated

import typer

_Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="Directory of the build.")]


def diff(
    old: Annotated[str, typer.Argument(help="Version, release directory, or OWNER/NAME@X.Y.Z.")],
    new: Annotated[str, typer.Argument(help="The same, of the newer version.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Compare scope, alignment and fidelity instead.")
    ] = False,
    workspace: _Workspace = Path("workspace"),
) -> None:
    """Count the rows that differ between two versions: added, removed, changed by field.

    Shards that both versions share are not read, and images never are. With --quality, the
    figures of the two quality reports stand side by side, with what got better or worse.
    """
    import orjson

    from builder.publish.client import limit_waiting
    from builder.publish.compared_version import find_quality, find_version
    from builder.release.compare import compare
    from builder.release.compare_quality import compare_quality

    limit_waiting()
    releases_dir = workspace / "releases"
    if quality:
        reports = find_quality(old, releases_dir), find_quality(new, releases_dir)
        compared = compare_quality(*reports)
        if as_json:
            print(orjson.dumps(compared.as_json(), option=orjson.OPT_INDENT_2).decode())
        else:
            print("\n".join(compared.lines()))
        return
    difference = compare(find_version(old, releases_dir), find_version(new, releases_dir))
    if as_json:
        print(orjson.dumps(difference.as_json(), option=orjson.OPT_INDENT_2).decode())
        return
    print(f"{difference.old} → {difference.new}: {difference.summary()}")
    for title, counters in (
        ("config", difference.by_config),
        ("language", difference.by_language),
        ("modality", difference.by_modality),
    ):
        if counters:
            print(f"  {title:<16}{'added':>9}{'removed':>9}{'changed':>9}")
        for name, counter in sorted(counters.items()):
            numbers = "".join(f"{counter[kind]:>9,}" for kind in ("added", "removed", "changed"))
            print(f"    {name:<14}{numbers}")


def versions(
    repo_id: Annotated[
        str | None,
        typer.Argument(help="OWNER/NAME on the Hub.", show_default="the workspace's own"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    workspace: _Workspace = Path("workspace"),
) -> None:
    """List the versions of a repository, or of the workspace."""
    import sys

    import orjson

    from builder.publish.client import limit_waiting
    from builder.publish.history import local_versions, published_versions
    from builder.publish.repo import DatasetRepo

    warnings: list[str] = []
    if repo_id:
        limit_waiting()
        found, warnings = published_versions(DatasetRepo(repo_id))
    else:
        found = local_versions(workspace / "releases")
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if as_json:
        listed = [
            {
                "version": str(entry.version),
                "tag": f"v{entry.version}",
                "commit": entry.commit,
                "num_samples": entry.num_samples,
                "num_languages": entry.num_languages,
            }
            for entry in found
        ]
        print(orjson.dumps(listed, option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        print(f"{repo_id or workspace / 'releases'}: no version yet")
    for entry in found:
        commit = f"  {entry.commit[:12]}" if entry.commit else ""
        print(
            f"{entry.version!s:<10}{commit}  {entry.num_samples:>10,} samples"
            f"  {entry.num_languages:>3} languages  {entry.note}"
        )


def rollback(
    repo_id: Annotated[str, typer.Argument(help="OWNER/NAME on the Hub.")],
    version: Annotated[str, typer.Argument(help="Version to restore, as X.Y.Z.")],
    workspace: _Workspace = Path("workspace"),
) -> None:
    """Make an earlier version the latest again, under the next patch version.

    The new commit holds the old version's files unchanged, but for two: manifest.json
    says which version it restores, and CHANGELOG.md keeps the versions that are
    rolled back, marked so. No data is uploaded. A workspace with the restored or the
    rolled-back version gets the new version too; its rows and
    reviews stay as they are. To continue from the restored version, `pull`
    it into a new workspace.
    """
    import sys

    from builder.progress import stage_bars
    from builder.publish.client import limit_waiting
    from builder.publish.progress import BYTE_STAGES
    from builder.publish.repo import DatasetRepo
    from builder.publish.rollback import add_to_workspace, how_to_continue
    from builder.publish.rollback import rollback as roll_back
    from builder.release.versions import Version
    from builder.workspace import open_workspace

    limit_waiting()
    repo = DatasetRepo(repo_id)
    done = roll_back(repo, Version.parse(version), say=lambda line: print(line, file=sys.stderr))
    verb = "restores" if done.made_commit or done.made_tag else "already restored"
    print(f"{repo_id}: version {done.version} {verb} {done.restored} (commit {done.commit[:12]})")
    print(how_to_continue(repo_id, done.version, workspace))
    if (workspace / "releases").is_dir():
        with stage_bars(str(done.version), BYTE_STAGES) as progress:
            directory = add_to_workspace(repo, done, open_workspace(workspace), progress)
        if directory is not None:
            print(f"also added to the workspace: {directory}")


def pull(
    address: Annotated[str, typer.Argument(help="Published version: OWNER/NAME@X.Y.Z.")],
    workspace: _Workspace = Path("workspace"),
) -> None:
    """Rebuild a workspace from a published version, to continue from it.

    Restores its images, rows, reviews and configuration, so that `build` and
    `release` continue on another machine. Replies of the model are not published,
    so they are not restored; nor are addresses and further settings of endpoints,
    since a published configuration must not decide where your key is sent.
    """
    import sys

    from builder.progress import stage_bars
    from builder.publish.client import limit_waiting
    from builder.publish.progress import BYTE_STAGES
    from builder.publish.pull import pull as pull_version
    from builder.publish.repo import DatasetRepo, parse_address
    from builder.publish.retry import retry_while_unreachable

    repo_id, version = parse_address(address)
    limit_waiting()
    repo = DatasetRepo(repo_id)
    with stage_bars(str(version), BYTE_STAGES) as progress:
        pulled = retry_while_unreachable(
            lambda: pull_version(repo, version, workspace, progress),
            say=lambda line: print(line, file=sys.stderr),
        )
    root = pulled.workspace.root
    print(f"{address}: rebuilt in {root}. Continue with `python -m builder build -w {root}`.")
    if pulled.reset:
        print(
            f"  reset to the default, since a published configuration must not decide where your "
            f"requests and your key are sent: {', '.join(pulled.reset)}"
        )


def register(app: typer.Typer) -> None:
    for command in (versions, diff, rollback, pull):
        app.command()(command)
