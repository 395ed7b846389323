"""Photographs that installed packages ship, whole and in quarters that do not overlap."""

from functools import cache
from importlib.resources import files

from PIL import Image

_SOURCES = {
    "gradio": [f"media_assets/images/{name}.jpg" for name in ("cheetah1", "lion", "tower")],
    "sklearn": ["datasets/images/flower.jpg", "datasets/images/china.jpg"],
    "matplotlib": ["mpl-data/sample_data/grace_hopper.jpg"],
}


@cache
def photos() -> tuple[Image.Image, ...]:
    """The photographs and their quarters, RGB; no two show the same."""
    found: list[Image.Image] = []
    for package, names in _SOURCES.items():
        for name in names:
            with files(package).joinpath(name).open("rb") as handle:
                whole = Image.open(handle).convert("RGB")
            whole.thumbnail((640, 640))
            found.append(whole)
            found += [_quarter(whole, across, down) for across in (0, 0.52) for down in (0, 0.52)]
    return tuple(found)


def _quarter(image: Image.Image, across: float, down: float) -> Image.Image:
    width, height = image.size
    left, top = round(across * width), round(down * height)
    return image.crop((left, top, left + round(0.48 * width), top + round(0.48 * height)))
