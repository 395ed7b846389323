"""A version on a Hub is fetched by its tag, and refused when it is not the one asked for."""

import os
import subprocess
import sys
from pathlib import Path

from huggingface_hub import HfApi

from curation_app.store import ReviewStore
from tests.hub_server import WRITE_TOKEN, running_hub


def test_a_version_on_a_hub_is_opened_by_its_tag(release: Path, tmp_path: Path) -> None:
    ReviewStore(tmp_path / "reviews.sqlite").close()
    with running_hub(tmp_path / "hub") as hub:
        api = HfApi(endpoint=hub.url, token=WRITE_TOKEN)
        api.create_repo("demo/tiny", repo_type="dataset")
        api.upload_folder(repo_id="demo/tiny", repo_type="dataset", folder_path=release)
        for tag in ("v0.1.0", "v0.2.0"):  # the second names a release it is not
            api.create_tag("demo/tiny", tag=tag, repo_type="dataset")

        def stats(dataset: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "curation_app", "stats", "--dataset", dataset]
            command += ["--store", str(tmp_path / "reviews.sqlite")]
            settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
            environment = {**os.environ, **settings, "HF_TOKEN": WRITE_TOKEN}
            environment.pop("HF_HUB_OFFLINE", None)
            return subprocess.run(command, capture_output=True, text=True, env=environment)

        opened = stats("demo/tiny@0.1.0")
        assert opened.returncode == 0, opened.stderr
        assert "tiny 0.1.0" in opened.stdout
        for dataset, problem in (
            ("demo/tiny@v0.2.0", "the Hub gave version 0.1.0"),
            ("demo/tiny@9.9.9", "has no version v9.9.9"),
            ("demo/nothing@0.1.0", "the Hub has no such dataset"),
        ):
            refused = stats(dataset)
            assert refused.returncode == 1
            assert problem in refused.stderr and "Traceback" not in refused.stderr
            assert WRITE_TOKEN not in refused.stderr
