"""`builder build`: the closed loop, from a configuration to kept samples."""

from pathlib import Path
from typing import Annotated

import typer

#: Exit code of a build that ended short of the shares.
SHORT_CODE = 3


def build(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="YAML configuration; the workspace's own if not given."
        ),
    ] = None,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of this build.")
    ] = Path("workspace"),
    model: Annotated[
        str | None, typer.Option(help="Model to ask, instead of the config's.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="i/N: only the i-th of N parts of the first round; see `merge`."),
    ] = None,
    batch: Annotated[bool, typer.Option("--batch", help="Use the endpoint's Batch API.")] = False,
    max_usd: Annotated[
        float | None, typer.Option(min=0, help="Stop before the workspace spends more than this.")
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option(min=0, help="Stop when the workspace has sent this many requests.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Cap on rounds, instead of the config's max_rounds.")
    ] = None,
    pilot: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Ask for only this many samples, spread over cells and languages, and write "
            "pilot.html: pictures, prompts, replies, price per kept sample. They count towards "
            "the build.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be requested; send nothing.")
    ] = False,
) -> None:
    """Ask a multimodal LLM for samples until the wanted shares are met.

    The endpoint comes from the configuration or OPENAI_BASE_URL, the key from the
    variable that `api_key_env` names there, OPENAI_API_KEY by default. Every paid reply
    is on disk before it is read: stop the build at any moment, run the same command
    again, and it resumes where it stopped.

    Exit codes: 0 the shares are met; 1 it failed or was stopped by a limit; 3 it ended short of
    the shares, and the last line names the slots, why, and what to try; 130 it was interrupted.
    """
    from builder import api

    if dry_run:
        from rich.console import Console

        from builder.api.build import parse_shard, wanted_config
        from builder.balance.pilot import pilot_config
        from builder.generate.session import BuildOptions, describe_next
        from builder.workspace import open_workspace

        opened = open_workspace(workspace, create=True)
        wanted = wanted_config(config, opened, model=model, rounds=rounds)
        if pilot is not None:
            wanted = pilot_config(wanted, pilot)
        options = BuildOptions(
            shard=parse_shard(shard), max_usd=max_usd, max_requests=max_requests, batch=batch
        )
        describe_next(opened, wanted, options, Console(stderr=True))
        return
    summary = api.build(
        config,
        workspace,
        model=model,
        shard=shard,
        batch=batch,
        max_usd=max_usd,
        max_requests=max_requests,
        rounds=rounds,
        pilot=pilot,
        show=True,
    )
    if summary.shortfall is not None:
        raise typer.Exit(SHORT_CODE)


def register(app: typer.Typer) -> None:
    app.command()(build)
