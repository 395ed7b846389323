"""A dual encoder: texts and images, each through a tower and a head, into one space.

It is a module of sentence-transformers (6.0 or newer):

    model = SentenceTransformer(directory, trust_remote_code=True)
    text_D, image_D = model.encode(["a red bicycle", Image.open("bicycle.jpg")])
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from schemas.pictures import on_white
from trainer.portable.bert_text import BertTextTower
from trainer.portable.clip import ClipImageTower, ClipTextTower, read_clip, save_clip
from trainer.portable.efficientnet import EfficientNetImageTower
from trainer.portable.heads import Head, UnitHead
from trainer.portable.hub_towers import HubImageTower, HubTextTower
from trainer.portable.ngram import DescriptorImageTower, NgramTextTower
from trainer.portable.tower import Tower

# B items, F tower features, D embedding

CONFIG_NAME = "dual_config.json"
WEIGHTS_NAME = "model.safetensors"
TOWERS: dict[str, type[Tower]] = {
    tower.__name__: tower
    for tower in (
        BertTextTower,
        EfficientNetImageTower,
        NgramTextTower,
        DescriptorImageTower,
        ClipTextTower,
        ClipImageTower,
        HubTextTower,
        HubImageTower,
    )
}


class DualModel(nn.Module):
    """Text tower and head, image tower and head; embeddings are L2-normalised.

    An item is a text or a picture; there is no fused input.

    Args:
        embedding_dim: None leaves the heads out: the towers are the sides of one
            CLIP-like model, and embeddings are in its own space.
        dropout: Before the heads.
    """

    def __init__(
        self, text: Tower, image: Tower, *, embedding_dim: int | None, dropout: float
    ) -> None:
        super().__init__()
        assert text.modality == "text" and image.modality == "image"
        self.text_tower = text
        self.image_tower = image
        self.text_head: Head | UnitHead
        self.image_head: Head | UnitHead
        if embedding_dim is None:
            assert text.dim == image.dim
            self.text_head, self.image_head = UnitHead(), UnitHead()
        else:
            self.text_head = Head(text.dim, embedding_dim, dropout)
            self.image_head = Head(image.dim, embedding_dim, dropout)
        self.embedding_dim = text.dim if embedding_dim is None else embedding_dim

    @property
    def heads(self) -> list[Head]:
        """Of texts and of images; none where the towers have a space of their own."""
        return [head for head in (self.text_head, self.image_head) if isinstance(head, Head)]

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def modalities(self) -> list[str]:
        """What sentence-transformers lets pass; "message" is its word for a mixed batch."""
        return ["text", "image", "message"]

    def get_embedding_dimension(self) -> int:
        return self.embedding_dim

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Texts as token ids and pictures as pixels, in their order.

        Args:
            inputs: Texts, PIL pictures, or dicts with one of the keys "text" and "image".
            prompt: Put before texts.

        Raises:
            ValueError: An input is neither text nor picture, or both at once.
        """
        texts: dict[int, Any] = {}
        images: dict[int, Any] = {}
        for place, item in enumerate(inputs):
            part = _single_part(item)
            if isinstance(part, str):
                texts[place] = self.text_tower.prepare((prompt or "") + part)
            else:
                images[place] = self.image_tower.prepare(on_white(ImageOps.exif_transpose(part)))
        return {"texts": texts, "images": images}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Adds "sentence_embedding", shape (B, D), to what `preprocess` gave."""
        texts, images = features["texts"], features["images"]
        parts: list[Tensor] = []
        if texts:
            parts.append(self.embed_texts(self.text_tower([*texts.values()])))
        if images:
            parts.append(self.embed_images(self.image_tower([*images.values()])))
        features["sentence_embedding"] = in_order(parts, [*texts, *images])
        return features

    def embed_texts(self, features_BF: Tensor) -> Tensor:
        """Embeddings of text features, shape (B, D)."""
        return self.text_head(features_BF.to(self.device))

    def embed_images(self, features_BF: Tensor) -> Tensor:
        """Embeddings of image features, shape (B, D)."""
        return self.image_head(features_BF.to(self.device))

    def save(
        self,
        directory: str | Path,
        *args: Any,
        weights: Mapping[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes weights, settings and the towers' files.

        Without heads that is the model of transformers that the towers are the sides of.

        Args:
            weights: Instead of the model's own, such as those with LoRA merged in.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        heads = self.heads
        config = {
            "embedding_dim": self.embedding_dim if heads else None,
            "dropout": heads[0].dropout if heads else 0.0,
            "towers": {
                tower.modality: {"type": type(tower).__name__, "settings": tower.settings()}
                for tower in (self.text_tower, self.image_tower)
            },
        }
        written = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in (self.state_dict() if weights is None else weights).items()
        }
        text = json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True)
        (directory / CONFIG_NAME).write_text(text + "\n", encoding="utf-8")
        if not heads:
            assert isinstance(self.text_tower, ClipTextTower)
            assert isinstance(self.image_tower, ClipImageTower)
            save_clip(self.text_tower, self.image_tower, directory, written)
            return
        for name, tower in (("text_tower", self.text_tower), ("image_tower", self.image_tower)):
            tower.save_files(directory)
            if tower.saved_dtype is not None:
                for key, tensor in written.items():
                    if key.startswith(f"{name}.") and tensor.is_floating_point():
                        written[key] = tensor.to(tower.saved_dtype)
        save_file(written, directory / WEIGHTS_NAME, metadata={"format": "pt"})

    @classmethod
    def load(cls, directory: str) -> "DualModel":
        """The model that `save` wrote; in evaluation mode, weights in float32."""
        folder = Path(directory)
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        if config["embedding_dim"] is None:
            towers = read_clip(folder, config["towers"]["text"]["settings"]["max_tokens"])
            return cls(*towers, embedding_dim=None, dropout=0.0).eval()
        model = cls(
            *(_tower(config["towers"][side], folder) for side in ("text", "image")),
            embedding_dim=config["embedding_dim"],
            dropout=config["dropout"],
        )
        model.load_state_dict(load_file(folder / WEIGHTS_NAME))
        return model.eval()


def in_order(parts: Sequence[Tensor], places: Sequence[int]) -> Tensor:
    """Rows of all parts, the row of place 0 first.

    Args:
        parts: Tensors of shapes (B0, D), (B1, D), and so on; together B rows.
        places: Place of every row; a permutation of 0 to B - 1.
    """
    rows_BD = torch.cat([*parts])
    row_of_B = torch.empty(len(places), dtype=torch.long)
    row_of_B[torch.tensor(places, dtype=torch.long)] = torch.arange(len(places))
    return rows_BD[row_of_B.to(rows_BD.device)]


def _single_part(item: Any) -> str | Image.Image:
    if isinstance(item, Mapping):
        if len(item) != 1 or next(iter(item)) not in ("text", "image"):
            raise ValueError(
                f"an input with {' and '.join(sorted(map(str, item)))}: this model embeds a text "
                "or an image, not both as one. Give them apart, or train a vision-language model."
            )
        item = next(iter(item.values()))
    if not isinstance(item, str | Image.Image):
        raise ValueError(
            f"an input of type {type(item).__name__}: give a text or a PIL image; open files and "
            "addresses yourself."
        )
    return item


def _tower(entry: dict[str, Any], directory: Path) -> Tower:
    return TOWERS[entry["type"]].from_settings(entry["settings"], directory)
