"""One picture of many: images beside what was chosen as near them, for people to look at."""

# K neighbours

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from builder.images.index import ImageIndex
from builder.images.neighbours import Neighbours
from builder.images.store import ImageStore
from builder.images.vectors import QUANTUM
from schemas.pictures import read_picture

_TILE_PX = 144
_GAP_PX = 10
_CAPTION_PX = 22
_HEAD_PX = 58
_INK, _FAINT, _RULE, _PAPER = "#1b1f24", "#59636e", "#d1d9e0", "#ffffff"


@dataclass(frozen=True, slots=True)
class Tile:
    """An image of the sheet and the words below it."""

    sha256: str
    caption: str


def neighbour_rows(
    index: ImageIndex, neighbours: Neighbours, num_rows: int, num_columns: int, seed: int = 0
) -> list[list[Tile]]:
    """Images drawn at random, each followed by its neighbours from near to far.

    The columns are spread over all the neighbours that an image has, so that both ends of
    the window are seen.
    """
    num = min(num_rows, len(index))
    drawn = np.sort(np.random.default_rng(seed).choice(len(index), num, replace=False))
    rows: list[list[Tile]] = []
    for image in drawn.tolist():
        of_K = neighbours.of_NK[image]
        of_K = of_K[of_K >= 0]
        columns = np.unique(np.linspace(0, len(of_K) - 1, num_columns).round().astype(int))
        tiles = [Tile(index.sha256[image], "image")]
        for rank in columns.tolist() if len(of_K) else []:
            cosine = _cosine(neighbours, image, int(of_K[rank]))
            tiles.append(Tile(index.sha256[of_K[rank]], f"no. {rank + 1}: {cosine:.2f}"))
        rows.append(tiles)
    return rows


def _cosine(neighbours: Neighbours, first: int, second: int) -> float:
    vectors = neighbours.vectors_ND
    product = vectors[first].astype(np.int64) @ vectors[second].astype(np.int64)
    return float(product) / QUANTUM**2


def draw_sheet(
    store: ImageStore, rows: Sequence[Sequence[Tile]], title: str, subtitle: str, path: Path
) -> None:
    """Writes the rows as one PNG."""
    width = max((len(row) for row in rows), default=1) * (_TILE_PX + _GAP_PX) + _GAP_PX
    row_px = _TILE_PX + _CAPTION_PX + _GAP_PX
    sheet = Image.new("RGB", (max(width, 640), _HEAD_PX + row_px * len(rows) + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP_PX, 8), title, _INK, ImageFont.load_default(18))
    draw.text((_GAP_PX, 34), subtitle, _FAINT, ImageFont.load_default(13))
    rule = _GAP_PX + _TILE_PX + _GAP_PX // 2  # between the images and their neighbours
    draw.line((rule, _HEAD_PX, rule, sheet.height - _GAP_PX), _RULE)
    for number, row in enumerate(rows):
        top = _HEAD_PX + number * row_px
        for column, tile in enumerate(row):
            left = _GAP_PX + column * (_TILE_PX + _GAP_PX)
            picture = read_picture(store.read(tile.sha256).data, max_side_px=_TILE_PX)
            centred = left + (_TILE_PX - picture.width) // 2
            sheet.paste(picture, (centred, top + (_TILE_PX - picture.height) // 2))
            place = (left + _TILE_PX // 2, top + _TILE_PX + 4)
            draw.text(place, tile.caption, _FAINT, ImageFont.load_default(13), anchor="ma")
        if len(row) == 1:
            place = (_GAP_PX * 2 + _TILE_PX, top + _TILE_PX // 2)
            draw.text(place, "no neighbour inside the window", _FAINT, ImageFont.load_default(13))
    sheet.save(path, "PNG", optimize=True)
