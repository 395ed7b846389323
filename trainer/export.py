"""A trained encoder as a directory, and back."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from trainer.config import TrainConfig, save_config
from trainer.encoders.choice import make_towers
from trainer.encoders.dual import DualEncoder
from trainer.encoders.tower import Towers
from trainer.errors import ModelError

WEIGHTS_NAME = "model.safetensors"
SHAPE_NAME = "encoder.json"
FORMAT_VERSION = 1

# B items, D embedding


class EncoderShape(BaseModel):
    """What is needed to build the encoder again before its weights are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    towers: str
    text_tower: str
    image_tower: str
    text_dim: int
    image_dim: int
    embedding_dim: int


class Encoder:
    """An exported model ready for use: texts and image bytes in, embeddings out."""

    def __init__(self, towers: Towers, model: DualEncoder) -> None:
        self.towers = towers
        self.model = model.eval()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """L2-normalised embeddings, shape (len(texts), D)."""
        features = self.towers.text.features(texts)
        return self.model.text(torch.from_numpy(features)).numpy()

    @torch.inference_mode()
    def embed_images(self, images: Sequence[bytes]) -> NDArray[np.float32]:
        """L2-normalised embeddings of encoded images, shape (len(images), D)."""
        features = self.towers.image.features(images)
        return self.model.image(torch.from_numpy(features)).numpy()


def save_encoder(
    model: DualEncoder, towers: Towers, config: TrainConfig, num_pairs: int, directory: Path
) -> None:
    """Writes weights, shape, training config and model card."""
    from safetensors.torch import save_file

    shape = EncoderShape(
        towers=towers.kind,
        text_tower=towers.text.name,
        image_tower=towers.image.name,
        text_dim=towers.text.dim,
        image_dim=towers.image.dim,
        embedding_dim=config.embedding_dim,
    )
    save_config(config, directory)
    (directory / SHAPE_NAME).write_text(shape.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (directory / "README.md").write_text(_model_card(towers, config, num_pairs), encoding="utf-8")
    # Weights last: with them the export is whole.
    save_file(model.state_dict(), directory / WEIGHTS_NAME)


def load_encoder(directory: Path | str) -> Encoder:
    """Reads what `save_encoder` wrote.

    Raises:
        ModelError: Not such a directory, or made with other towers.
        EncoderMissingError: Its pretrained towers are not installed.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    directory = Path(directory)
    try:
        content = json.loads((directory / SHAPE_NAME).read_text(encoding="utf-8"))
        shape = EncoderShape.model_validate(content)
        weights = load_file(directory / WEIGHTS_NAME)
    except FileNotFoundError as exc:
        raise ModelError(directory, f"no {Path(str(exc.filename)).name} there") from exc
    except (ValidationError, json.JSONDecodeError, SafetensorError, OSError) as exc:
        raise ModelError(directory, f"unreadable export ({type(exc).__name__})") from exc
    towers = make_towers("pretrained" if shape.towers == "pretrained" else "ngram")
    found = (towers.text.name, towers.image.name)
    if found != (shape.text_tower, shape.image_tower):
        raise ModelError(
            directory,
            f"made with {shape.text_tower} and {shape.image_tower}, here are {' and '.join(found)}",
        )
    model = DualEncoder(
        shape.text_dim,
        shape.image_dim,
        embedding_dim=shape.embedding_dim,
        dropout=0.0,
        seed=0,
    )
    try:
        model.load_state_dict(weights)
    except RuntimeError as exc:
        raise ModelError(directory, f"{WEIGHTS_NAME} does not fit {SHAPE_NAME}") from exc
    return Encoder(towers, model)


def _model_card(towers: Towers, config: TrainConfig, num_pairs: int) -> str:
    languages = "all languages" if config.languages is None else ", ".join(config.languages)
    version = config.dataset.revision or "as found"
    return f"""---
library_name: polyscene
pipeline_tag: feature-extraction
datasets:
- {json.dumps(config.dataset.path)}
---

# Compact dual encoder

{towers.note} Texts and images share one space of {config.embedding_dim} dimensions.

Trained on `{config.dataset.path}` (version {version}): {num_pairs} pairs in {languages},
{config.num_steps} steps of {config.batch_size} pairs, InfoNCE with hard negatives,
temperature {config.temperature}, seed {config.seed}. `config.json` holds every setting.

```python
from trainer.export import load_encoder

encoder = load_encoder("this/directory")
similarities = encoder.embed_texts(["a red apple"]) @ encoder.embed_images([image_bytes]).T
```

It knows the kind of pictures and texts it was trained on and little else: measure it on your own
before you rely on it.
"""
