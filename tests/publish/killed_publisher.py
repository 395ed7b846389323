"""What the processes run that tests kill in the middle of publishing."""

from pathlib import Path

from huggingface_hub import constants

from builder.publish import DatasetRepo, publish


def publish_in_process(directory: str, repo_id: str, url: str, token: str, cache: str) -> None:
    """Publishes by plain uploads."""
    constants.HF_HUB_DISABLE_XET = True
    publish(Path(directory), DatasetRepo(repo_id, url, token, Path(cache)))
