"""`builder build`: the closed loop, from a configuration to kept samples."""

from pathlib import Path
from typing import Annotated

import typer


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be requested; send nothing.")
    ] = False,
) -> None:
    """Ask a multimodal LLM for samples until the wanted shares are met.

    The endpoint comes from the configuration or OPENAI_BASE_URL, the key from the
    variable that `api_key_env` names there, OPENAI_API_KEY by default. Every paid reply
    is on disk before it is read: stop the build at any moment, run the same command
    again, and it resumes where it stopped.
    """
    from rich.console import Console

    from builder.config import ConfigError, load_config
    from builder.generate.session import BuildOptions, describe_next, run_build
    from builder.workspace import open_workspace

    console = Console(stderr=True)
    opened = open_workspace(workspace, create=True)
    if config is None and not opened.config_path.exists():
        raise ConfigError(
            f"{opened.config_path}: no such file. Name a configuration with --config."
        )
    wanted = load_config(config or opened.config_path)
    changes: dict[str, object] = {}
    if model is not None:
        changes["teacher"] = wanted.teacher.model_copy(update={"model": model})
    if rounds is not None:
        changes["max_rounds"] = rounds
    wanted = wanted.model_copy(update=changes)
    options = BuildOptions(
        shard=parse_shard(shard), max_usd=max_usd, max_requests=max_requests, batch=batch
    )
    if dry_run:
        describe_next(opened, wanted, options, console)
        return
    run_build(opened, wanted, options, console)


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Part and number of parts of "2/8": (1, 8), the second of eight, counted from 0.

    Raises:
        ConfigError: The text has another form.
    """
    from builder.config import ConfigError

    if text is None:
        return None
    first, slash, second = text.partition("/")
    if slash and first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second):
        return int(first) - 1, int(second)
    raise ConfigError(f"--shard {text}: not i/N with 1 <= i <= N. Write a part such as 1/4.")


def register(app: typer.Typer) -> None:
    app.command()(build)
