"""`python -m builder build` against an endpoint that gives nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.config import BuildConfig, save_config
from builder.demo.services import free_port
from builder.images.store import ImageStore
from builder.lexicon_teacher import running_teacher
from builder.workspace import open_workspace
from tests.images.conftest import encode_noise


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Eight pictures, and a configuration that gives up soon."""
    opened = open_workspace(tmp_path / "workspace", create=True)
    with ImageStore(opened.images_dir) as store:
        for seed in range(8):
            store.add(encode_noise(seed))
    config = BuildConfig.model_validate(
        {
            "num_samples": 20,
            "languages": {"en": 1},
            "images": {"embedder": "descriptor"},
            "pace": {"max_attempts": 2, "breaker_window_s": 1},
        }
    )
    save_config(config, opened.config_path)
    return opened.root


def build(workspace: Path, base_url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builder", "build", "-w", str(workspace)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "not-the-key"},
    )


def test_where_no_reply_came_in_the_error_stands_alone(workspace: Path) -> None:
    refused_url = f"http://127.0.0.1:{free_port()}/v1"
    down = build(workspace, refused_url)
    with running_teacher(api_key="the-key") as url:
        unauthorised = build(workspace, url)
    for done, told in ((down, refused_url), (unauthorised, "401")):
        assert done.returncode == 1
        lines = (done.stdout + done.stderr).strip().splitlines()
        assert len(lines) == 1, lines
        assert told in lines[0]
