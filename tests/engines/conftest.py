"""One Ray of two workers for all tests, and pictures to add."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builder.engines import LocalEngine
from builder.engines.engine import WorkerDied
from builder.engines.ray_engine import RayEngine


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[RayEngine]:
    if find_spec("ray") is None:  # not imported here: some settings are read at its import
        pytest.skip("needs extra `ray`")
    with RayEngine(num_workers=2, object_store_bytes=100 * 2**20) as engine:
        yield engine


class _DyingThreads(LocalEngine):
    """Threads whose end is noticed like that of a worker: a function ends its own by SystemExit."""

    def _result(self, handle: Any) -> Any:
        try:
            return super()._result(handle)
        except SystemExit as exc:
            raise WorkerDied("its process ended") from exc


@pytest.fixture
def dying_threads() -> type[LocalEngine]:
    return _DyingThreads


def _picture(seed: int, kind: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((96, 64), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a note that is not published"
    image.save(buffer, kind, quality=90, exif=exif if seed % 3 == 0 else b"")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_picture() -> Callable[[int, str], bytes]:
    return _picture


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Folders of pictures with captions, copies, damaged and misnamed files, and a bitmap."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(24):
        folder = root / f"{number % 3:02}"
        folder.mkdir(exist_ok=True)
        kind = ("JPEG", "PNG", "WEBP", "BMP")[number % 4]
        file = folder / f"{number:03}.{kind.lower()}"
        file.write_bytes(_picture(number, kind))
        if number % 5 == 0:
            file.with_suffix(".json").write_text(
                f'{{"caption": "picture {number}", "LICENSE": "CC-BY-4.0"}}'
            )
    (root / "00" / "copy.jpg").write_bytes((root / "00" / "000.jpeg").read_bytes())
    (root / "01" / "cut.jpg").write_bytes(_picture(30, "JPEG")[:-200])
    (root / "02" / "empty.png").touch()
    (root / "02" / "renamed.png").write_bytes(_picture(31, "JPEG"))
    (root / "away.jpg").symlink_to("/etc/hostname")
    return root
