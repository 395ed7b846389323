"""Pictures for LFM2-VL, whose own image processor needs torchvision.

Source: `Lfm2VlImageProcessor` of transformers; resizing is Pillow's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# P patches, V values of a patch


@dataclass(frozen=True)
class Lfm2Images:
    """Settings of `preprocessor_config.json`, under their names there."""

    downsample_factor: int = 2
    do_image_splitting: bool = True
    min_tiles: int = 2
    max_tiles: int = 10
    use_thumbnail: bool = True
    min_image_tokens: int = 64
    max_image_tokens: int = 256
    encoder_patch_size: int = 16
    tile_size: int = 512
    max_pixels_tolerance: float = 2.0
    resample: int = Image.Resampling.BILINEAR
    image_mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    image_std: tuple[float, ...] = (0.5, 0.5, 0.5)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in settings.items() if name in known})

    def __call__(self, picture: Image.Image) -> dict[str, Any]:
        """Tiles of a picture as padded patches, and how they lie.

        Returns:
            pixel_values (tiles, P, V), pixel_attention_mask (tiles, P) and
            spatial_shapes (tiles, 2) for the model; image_rows, image_cols and
            tokens_per_tile for the text.
        """
        width, height = self._fitting_size(*picture.size)
        columns = rows = 1
        if self.do_image_splitting and self._is_large(*picture.size):
            columns, rows = self._grid(*picture.size)
        if columns * rows == 1:
            tiles = [self._resize(picture, width, height)]
        else:
            side = self.tile_size
            large = self._resize(picture, columns * side, rows * side)
            corners = [(x * side, y * side) for y in range(rows) for x in range(columns)]
            tiles = [large.crop((x, y, x + side, y + side)) for x, y in corners]
            if self.use_thumbnail:
                tiles.append(self._resize(picture, width, height))
        patches = [self._patches(tile) for tile in tiles]
        shapes = [
            (tile.height // self.encoder_patch_size, tile.width // self.encoder_patch_size)
            for tile in tiles
        ]
        length = max(self._num_patches(), *map(len, patches))
        mask = torch.zeros(len(tiles), length, dtype=torch.int32)
        pixels = torch.zeros(len(tiles), length, patches[0].shape[1])
        for number, patch_PV in enumerate(patches):
            pixels[number, : len(patch_PV)] = patch_PV
            mask[number, : len(patch_PV)] = 1
        return {
            "pixel_values": pixels,
            "pixel_attention_mask": mask,
            "spatial_shapes": torch.tensor(shapes),
            "image_rows": [rows],
            "image_cols": [columns],
            "tokens_per_tile": [self._tokens(*shape) for shape in shapes],
        }

    def _num_patches(self) -> int:
        per_tile = (self.tile_size // self.encoder_patch_size) ** 2
        whole = self.max_image_tokens * self.downsample_factor**2
        return max(whole, per_tile if self.do_image_splitting else 0)

    def _tokens(self, rows: int, columns: int) -> int:
        shrink = self.downsample_factor
        return math.ceil(rows / shrink) * math.ceil(columns / shrink)

    def _patches(self, tile: Image.Image) -> Tensor:
        """Normalised patches of a tile, row by row, shape (P, V)."""
        side = self.encoder_patch_size
        values = np.asarray(tile, dtype=np.float32) / 255
        mean, std = (np.array(item, np.float32) for item in (self.image_mean, self.image_std))
        values = (values - mean) / std
        rows, columns = values.shape[0] // side, values.shape[1] // side
        grid = values.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
        return torch.from_numpy(np.ascontiguousarray(grid.reshape(rows * columns, -1)))

    def _resize(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        return picture.resize((width, height), Image.Resampling(self.resample))

    def _fitting_size(self, width: int, height: int) -> tuple[int, int]:
        """Near the picture's own shape, in whole tokens, as many as allowed."""
        step = self.encoder_patch_size * self.downsample_factor
        least, most = self.min_image_tokens * step**2, self.max_image_tokens * step**2
        fit_width, fit_height = (max(step, round(side / step) * step) for side in (width, height))
        if fit_width * fit_height > most:
            shrink = math.sqrt(width * height / most)
            fit_width, fit_height = (
                max(step, math.floor(side / shrink / step) * step) for side in (width, height)
            )
        elif fit_width * fit_height < least:
            grow = math.sqrt(least / (width * height))
            fit_width, fit_height = (
                math.ceil(side * grow / step) * step for side in (width, height)
            )
        return fit_width, fit_height

    def _is_large(self, width: int, height: int) -> bool:
        step = self.encoder_patch_size * self.downsample_factor
        area = math.prod(
            max(self.encoder_patch_size, round(side / step) * step) for side in (width, height)
        )
        return area > self.max_image_tokens * step**2 * self.max_pixels_tolerance

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows nearest to the picture's shape; of two as near, what its size fills."""
        best, best_distance = (1, 1), math.inf
        counts = range(self.min_tiles, self.max_tiles + 1)
        grids = {
            (columns, rows)
            for count in counts
            for columns in range(1, count + 1)
            for rows in range(1, count + 1)
            if self.min_tiles <= columns * rows <= self.max_tiles
        }
        for columns, rows in sorted(sorted(grids), key=lambda grid: grid[0] * grid[1]):
            distance = abs(width / height - columns / rows)
            filled = width * height > 0.5 * self.tile_size**2 * columns * rows
            if distance < best_distance or (distance == best_distance and filled):
                best, best_distance = (columns, rows), min(distance, best_distance)
        return best
