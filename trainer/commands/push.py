"""`trainer push`: an exported model to a Hub, as one commit."""

from pathlib import Path

from rich.console import Console

from trainer.export.push import push


def run_push(
    directory: Path,
    repo_id: str,
    *,
    private: bool,
    message: str | None,
    adopt: bool,
    dry_run: bool,
) -> None:
    """Pushes and prints what was sent, or would be."""
    console = Console(soft_wrap=True)
    pushed = push(
        directory, repo_id, private=private, message=message, adopt=adopt, dry_run=dry_run
    )
    for line in pushed.describe():
        console.print(line, markup=False, highlight=False)
