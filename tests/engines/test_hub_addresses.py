"""Images on a Hub, by their address: a folder and a tar, read without a copy of the repository."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi
from PIL import Image

from builder.images.store import ImageStore
from tests.hub_server import WRITE_TOKEN, RunningHub, running_hub

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "tests/images/descriptor.yaml"


def photo(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((96, 72)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def hub(tmp_path: Path):
    with running_hub(tmp_path / "hub") as hub:
        api = HfApi(hub.url, token=WRITE_TOKEN)
        api.create_repo("demo/photos", repo_type="dataset")
        shard = io.BytesIO()
        with tarfile.open(fileobj=shard, mode="w") as tar:
            for number in range(3):
                entry = tarfile.TarInfo(f"{number:03d}.jpg")
                entry.size = len(photo(number))
                tar.addfile(entry, io.BytesIO(photo(number)))
        files = {"folder/a.jpg": photo(7), "folder/deep/b.jpg": photo(8)}
        files["shards/00000.tar"] = shard.getvalue()
        for path, data in files.items():
            api.upload_file(
                path_or_fileobj=data,
                path_in_repo=path,
                repo_id="demo/photos",
                repo_type="dataset",
            )
        yield hub


@pytest.mark.parametrize(("folder", "num_images"), [("folder", 2), ("shards", 3)])
def test_a_folder_and_a_tar_are_added_by_address(
    hub: RunningHub, tmp_path: Path, folder: str, num_images: int
) -> None:
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": WRITE_TOKEN,
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
    }
    command = [
        sys.executable,
        "-m",
        "builder",
        "images",
        "add",
        f"hf://datasets/demo/photos/{folder}",
    ]
    done = subprocess.run(
        [*command, "-w", str(tmp_path / "workspace"), "--licence", "CC0-1.0", "-c", str(SETTINGS)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with ImageStore(tmp_path / "workspace" / "images") as store:
        assert len(store) == num_images
