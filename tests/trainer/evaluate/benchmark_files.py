"""Benchmarks written small, in exactly the layouts in which they are published."""

import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from trainer.data.items import Item
from trainer.encoders.encoder import Encoder, Pictures

COLOURS = {
    "red": (220, 20, 20),
    "green": (20, 200, 20),
    "blue": (20, 20, 220),
    "yellow": (220, 220, 20),
    "cyan": (20, 220, 220),
    "magenta": (220, 20, 220),
}


def png(colour: tuple[int, int, int], side_px: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side_px, side_px), colour).save(file, "PNG")
    return file.getvalue()


def write_pictures(folder: Path, colours: Mapping[str, tuple[int, int, int]] = COLOURS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in colours.items():
        (folder / f"{name}.png").write_bytes(png(colour))


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    return path


def write_subset(data: Path, subset: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A subset as TIGER-Lab/MMEB-eval and ziyjiang/MMEB_Test_Instruct have it."""
    return write_parquet(data / subset / "test-00000-of-00001.parquet", rows)


def classification_rows(subset: str = "ImageNet-1K", *, first: str = "red") -> list[dict[str, Any]]:
    """A picture each, to be classified among all colours: the first edition's texts and paths."""
    return [
        {
            "qry_text": "<|image_1|>\nRepresent the given image for classification\n",
            "qry_img_path": f"{subset}/{name}.png",
            "tgt_text": [name, *(other for other in COLOURS if other != name)],
            "tgt_img_path": [""] * len(COLOURS),
        }
        for name in sorted(COLOURS, key=lambda name: name != first)
    ]


def caption_rows(subset: str = "MSCOCO_t2i") -> list[dict[str, Any]]:
    """A caption each, to find its picture among all."""
    return [
        {
            "qry_text": f"Find me an everyday image that matches the given caption: a {name} wall",
            "qry_img_path": "",
            "tgt_text": ["<|image_1|>\nRepresent the given image.\n"] * len(COLOURS),
            "tgt_img_path": [
                f"{subset}/{other}.png" for other in sorted(COLOURS, key=lambda n: n != name)
            ],
        }
        for name in COLOURS
    ]


def question_rows(subset: str = "OK-VQA") -> list[dict[str, Any]]:
    """A picture and a question each, with answers as candidates."""
    return [
        {
            "qry_text": "<|image_1|>\nRepresent the given image with the following question: "
            f"Which colour is {thing}?\n",
            "qry_img_path": f"{subset}/{name}.png",
            "tgt_text": [name, *(other for other in COLOURS if other != name)],
            "tgt_img_path": [""] * len(COLOURS),
        }
        for name, thing in zip(COLOURS, ("it", "the wall", "that", "he", "she", "all"), strict=True)
    ]


class ColourEncoder(Encoder):
    """A real encoder of one feature: the mean colour of a picture, or the colours a text names.

    Args:
        takes: Items it accepts.
    """

    def __init__(self, takes: Collection[str] = ("T", "I", "IT")) -> None:
        super().__init__()
        self.takes = takes  # pyright: ignore[reportAttributeAccessIssue]
        self.note = "Mean colours."
        self.embedding_dim = 3
        self.seen: list[Item] = []

    def prepare(self, item: Item, pictures: Pictures) -> "Colour":
        assert item.modality in self.takes
        self.seen.append(item)
        values = [torch.tensor([1e-3, 2e-3, 3e-3])]
        for name, colour in COLOURS.items():
            if name in (item.text or ""):
                values.append(torch.tensor(colour) / 255)
        if item.image is not None:
            red, green, blue = pictures.picture(item.image).resize((1, 1)).getpixel((0, 0))  # pyright: ignore
            values.append(torch.tensor([red, green, blue]) / 255)
        return Colour(torch.stack(values).sum(dim=0), item.image)

    def forward(self, batch: "Sequence[Colour]") -> Tensor:
        return normalize(torch.stack([each.values for each in batch]) - 0.4, dim=-1)

    def save(self, directory: Path) -> None:
        raise NotImplementedError


class Colour:
    def __init__(self, values: Tensor, image: str | None) -> None:
        self.values = values
        self.image = image
        self.num_tokens = 1


class ConstantEncoder(ColourEncoder):
    """Gives every item the same vector."""

    def forward(self, batch: Sequence[Colour]) -> Tensor:
        return normalize(torch.ones(len(batch), 3), dim=-1)
