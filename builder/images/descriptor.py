"""The built-in image descriptor: colour layout and edge directions, no weights."""

# B images, H height, W width, K channels, O directions, D descriptor

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builder.images.fingerprint import on_white

_SIDE_PX = 48
_COLOUR_CELLS = 6
_EDGE_CELLS = 4
_DIRECTIONS = 8
_HUES = 12


class DescriptorEmbedder:
    """Colour layout, edge directions and hues of a 48 x 48 thumbnail: 248 numbers.

    It finds images of similar colour and shape; for similar meaning, use a vision
    model. Each part has unit length and a fixed weight, so cosines
    of unrelated images lie near 0.2 and those of near-duplicates above 0.98.

    Sources: MPEG-7 colour layout; Dalal and Triggs 2005 (edge directions).
    """

    name = "descriptor-1"
    default_window = (0.2, 0.985)
    batch_size = 64
    device = "cpu"

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """L2-normalised descriptors, shape (B, D)."""
        size = (_SIDE_PX, _SIDE_PX)
        thumbnails = [
            np.asarray(on_white(image).resize(size, Image.Resampling.BOX, reducing_gap=2.0))
            for image in images
        ]
        rgb_BHW3 = np.stack(thumbnails).astype(np.float32) / 255
        luma_BHW = rgb_BHW3 @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        chroma_BHW2 = np.stack([rgb_BHW3[..., 0] - luma_BHW, rgb_BHW3[..., 2] - luma_BHW], axis=-1)
        parts = [
            (1.0, _layout(luma_BHW[..., None])),
            (1.0, _layout(chroma_BHW2, centred=False)),
            (1.3, _edges(luma_BHW)),
            (0.7, _hues(chroma_BHW2)),
        ]
        joined_BD = np.concatenate([weight * _unit(part_BD) for weight, part_BD in parts], axis=1)
        return _unit(joined_BD)


def _layout(values_BHWK: NDArray[np.floating], *, centred: bool = True) -> NDArray[np.floating]:
    """Mean of each cell of a 6 x 6 grid, without the image's own mean when `centred`."""
    grid = _cell_means(values_BHWK, _COLOUR_CELLS)
    if centred:
        grid = grid - grid.mean(axis=(1, 2), keepdims=True)
    return grid.reshape(len(grid), -1)


def _edges(luma_BHW: NDArray[np.floating]) -> NDArray[np.floating]:
    """Edge strength by direction in each cell of a 4 x 4 grid, less the image's mean."""
    down_BHW, right_BHW = np.gradient(luma_BHW, axis=(1, 2))
    strength_BHW = np.hypot(down_BHW, right_BHW)
    angle_BHW = np.arctan2(down_BHW, right_BHW) % np.pi
    direction_BHW = np.minimum((angle_BHW / np.pi * _DIRECTIONS).astype(int), _DIRECTIONS - 1)
    is_direction_BHWO = direction_BHW[..., None] == np.arange(_DIRECTIONS)
    edges = np.sqrt(
        _cell_means(np.where(is_direction_BHWO, strength_BHW[..., None], 0), _EDGE_CELLS)
    )
    return (edges - edges.mean(axis=(1, 2, 3), keepdims=True)).reshape(len(edges), -1)


def _cell_means(values_BHWK: NDArray[np.floating], num_cells: int) -> NDArray[np.floating]:
    """Means over a square grid of cells, shape (B, num_cells, num_cells, K)."""
    batch, _, _, channels = values_BHWK.shape
    step = _SIDE_PX // num_cells
    cells = values_BHWK.reshape(batch, num_cells, step, num_cells, step, channels)
    return cells.mean(axis=(2, 4))


def _hues(chroma_BHW2: NDArray[np.floating]) -> NDArray[np.floating]:
    """Amount of each hue, weighted by saturation."""
    batch = len(chroma_BHW2)
    saturation = np.hypot(chroma_BHW2[..., 0], chroma_BHW2[..., 1]).reshape(batch, -1)
    hue = np.arctan2(chroma_BHW2[..., 1], chroma_BHW2[..., 0]).reshape(batch, -1)
    bins = ((hue / (2 * np.pi) + 0.5) * _HUES).astype(int) % _HUES
    amounts = np.zeros((batch, _HUES), dtype=np.float32)
    np.add.at(amounts, (np.arange(batch)[:, None], bins), saturation)
    return np.sqrt(amounts)


def _unit(values_BD: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of unit length; a row of zeros stays zero (a blank image has no edges)."""
    length = np.linalg.norm(values_BD, axis=1, keepdims=True)
    return (values_BD / np.maximum(length, 1e-6)).astype(np.float32)
