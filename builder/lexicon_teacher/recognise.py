"""Find which bundled drawing the bytes of an image show, re-encoded or not."""

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builder.images.pictograms import Pictogram, load_pictograms
from schemas.pictures import PictureError, read_picture

_GRID = 16
#: Largest mean distance per pixel channel (0-255); re-encoded drawings measure below 5.5.
_MAX_DISTANCE = 6.0
_MAX_REMEMBERED = 20_000

#: A drawing: its concept and its style.
Drawing = tuple[Pictogram, str]


class Recogniser:
    """Knows every bundled drawing by its sha256, and by a 16 x 16 colour grid when that fails.

    The grids are made on first need: decoding the whole corpus takes seconds, and images that
    come straight from the corpus never need them.
    """

    def __init__(self, pictograms: list[Pictogram] | None = None) -> None:
        self._drawings: list[Drawing] = []
        self._contents: list[bytes] = []
        self._by_hash: dict[bytes, Drawing | None] = {}
        for pictogram in load_pictograms() if pictograms is None else pictograms:
            for image in pictogram.images:
                drawing = (pictogram, image.style)
                self._drawings.append(drawing)
                self._contents.append(image.content)
                self._by_hash[sha256(image.content).digest()] = drawing
        self._grids_ND: NDArray[np.float32] | None = None

    def find(self, content: bytes) -> Drawing | None:
        """Returns the drawing an image shows, or None for any other image."""
        digest = sha256(content).digest()
        if digest in self._by_hash:
            return self._by_hash[digest]
        found = self._find_alike(content)
        if len(self._by_hash) < _MAX_REMEMBERED:
            self._by_hash[digest] = found
        return found

    def _find_alike(self, content: bytes) -> Drawing | None:
        grid_D = _grid(content)
        if grid_D is None:
            return None
        if self._grids_ND is None:
            grids = [_grid(content) for content in self._contents]
            self._grids_ND = np.stack([grid for grid in grids if grid is not None])
        distances_N = np.abs(self._grids_ND - grid_D).mean(axis=1)
        nearest = int(distances_N.argmin())
        return self._drawings[nearest] if distances_N[nearest] <= _MAX_DISTANCE else None


def _grid(content: bytes) -> NDArray[np.float32] | None:
    """Shrink an image on white to a flat colour grid; None if it cannot be read."""
    try:
        picture = read_picture(content)
    except PictureError:
        return None
    small = picture.resize((_GRID, _GRID), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).reshape(-1)
