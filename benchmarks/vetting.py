"""Vetting by kind of file: CPU time against that of decoding the picture, on one core.

python -m benchmarks.vetting                         # 1600 x 1200 px
python -m benchmarks.vetting --side 4032 --repeats 3
"""

import argparse
import time
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from io import BytesIO

from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from builder.config import ImagesConfig
from builder.images.fingerprint import look_hash
from builder.images.vectors import decode
from builder.images.vetting import vet

_ORIENTATION, _TURNED = 0x0112, 6
_MAKER = 0x010F


def photograph(side_px: int) -> Image.Image:
    """A photograph that scikit-learn ships, enlarged, 4 : 3; its sides are multiples of 16."""
    with files("sklearn").joinpath("datasets/images/china.jpg").open("rb") as handle:
        picture = Image.open(handle).convert("RGB")
    size = side_px // 16 * 16, side_px * 3 // 64 * 16
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture.info = {}
    return picture


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[_ORIENTATION], exif[_MAKER] = orientation, "maker"
    return exif


def kinds_of_files(picture: Image.Image) -> dict[str, bytes]:
    """The same picture as people have it."""
    return {
        "JPEG": _encoded(picture, "JPEG", quality=88),
        "JPEG with EXIF": _encoded(picture, "JPEG", quality=88, exif=_exif(1)),
        "JPEG, progressive": _encoded(picture, "JPEG", quality=88, progressive=True),
        "JPEG, turned (EXIF 6)": _encoded(picture, "JPEG", quality=88, exif=_exif(_TURNED)),
        "JPEG, CMYK": _encoded(picture.convert("CMYK"), "JPEG", quality=88),
        "PNG": _encoded(picture, "PNG", compress_level=3),
        "WebP": _encoded(picture, "WEBP", quality=85, method=0),
        "BMP": _encoded(picture, "BMP"),
    }


def _cpu_ms(run: Callable[[], object], repeats: int) -> float:
    """Least CPU time of some runs: others on the machine can only add to it."""
    best = float("inf")
    for _ in range(repeats):
        started = time.thread_time()
        run()
        best = min(best, time.thread_time() - started)
    return best * 1_000


def _decode(data: bytes) -> None:
    with Image.open(BytesIO(data)) as image:
        image.load()


def _vet(data: bytes, limits: ImagesConfig) -> bytes:
    sha256(data).hexdigest()
    return vet(data, limits).data


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=1_600, help="longer side in pixels")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    picture, limits = photograph(arguments.side), ImagesConfig()
    title = f"CPU ms per file of {picture.width} x {picture.height} px"
    table = Table(title=title)
    for name in ("file", "kB", "decode", "hash and vet", "x decode", "look hash", "stored kB"):
        table.add_column(name, justify="left" if name == "file" else "right")
    for kind, data in kinds_of_files(picture).items():
        stored = _vet(data, limits)
        bare = _cpu_ms(lambda data=data: _decode(data), arguments.repeats)
        vetted = _cpu_ms(lambda data=data: _vet(data, limits), arguments.repeats)
        look = _cpu_ms(lambda stored=stored: look_hash(decode(stored)), arguments.repeats)
        table.add_row(
            kind,
            f"{len(data) / 1e3:,.0f}",
            f"{bare:.1f}",
            f"{vetted:.1f}",
            f"{vetted / bare:.2f}",
            f"{look:.1f}",
            f"{len(stored) / 1e3:,.0f}",
        )
    console = Console(width=110)
    console.print(table)
    console.print(
        "Turned, CMYK and BMP files are encoded once more, so that every reader gets the same "
        f"picture. Look hashes are made once, when copies are looked for. {describe_machine()}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
