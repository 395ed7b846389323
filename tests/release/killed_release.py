"""What the processes run that tests kill or starve."""

import os
import resource
import signal
from pathlib import Path

from builder.release import ReleaseError, Version, open_inputs, release
from builder.workspace import Workspace


def release_killed_at(root: str, version: str, stage: str, call: int) -> None:
    """Releases, and dies the moment a stage reports for the n-th time."""
    seen = 0

    def progress(now: str, done: int, total: int) -> None:
        nonlocal seen
        seen += now == stage
        if now == stage and seen == call:
            os.kill(os.getpid(), signal.SIGKILL)

    _release(root, version, progress)


def release_with_little_space(root: str, version: str, max_file_bytes: int) -> None:
    """Releases while no file may grow beyond a size; ends with code 3 on a clear refusal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    try:
        _release(root, version, lambda stage, done, total: None)
    except ReleaseError as exc:
        assert "could not be written" in str(exc) and "no version was made" in str(exc)
        os._exit(3)


def _release(root: str, version: str, progress) -> None:
    workspace = Workspace(Path(root))
    with workspace.locked(), open_inputs(workspace, None) as inputs:
        release(inputs, Version.parse(version), workspace.releases_dir, progress)
