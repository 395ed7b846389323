"""What the processes run that tests kill in the middle of publishing or rebasing."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from huggingface_hub import constants

from builder.publish import DatasetRepo, publish
from builder.publish.rebase import rebase
from builder.workspace import Workspace


def publish_in_process(directory: str, repo_id: str, url: str, token: str, cache: str) -> None:
    """Publishes by plain uploads."""
    constants.HF_HUB_DISABLE_XET = True
    publish(Path(directory), DatasetRepo(repo_id, url, token, Path(cache)))


def rebase_until(step: str, nth: int, root: str, repo_id: str, url: str, token: str) -> None:
    """Rebases a workspace until a function is called for the n-th time; then the process dies."""
    num_calls = 0

    def kill_at(frame: FrameType, event: str, argument: object) -> None:
        nonlocal num_calls
        del argument
        if event == "call" and frame.f_code.co_name == step:
            num_calls += 1
            if num_calls == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    repo = DatasetRepo(repo_id, url, token, Path(root) / "cache")
    sys.setprofile(kill_at)
    rebase(repo, Workspace(Path(root)))
