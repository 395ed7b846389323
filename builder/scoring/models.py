"""Models that embed texts and pictures into one space, each named or in a directory."""

# B items, D embedding

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from command_line.extras import install_extra
from schemas.errors import PolysceneError

_BATCH_SIZE = 64


class ScorerError(PolysceneError):
    """A model cannot be loaded, or its embeddings are of no use."""


@dataclass(frozen=True, slots=True)
class TextVectors:
    """Texts as a model sees them, L2-normalised.

    Args:
        joint_BD: In the space of the pictures.
        plain_BF: Before the layer that was trained to put texts beside pictures; the same as
            `joint_BD` where the model has no such layer. Texts of like meaning are nearer to
            one another here.
    """

    joint_BD: NDArray[np.float32]
    plain_BF: NDArray[np.float32]


class Scorer(Protocol):
    """Embeds texts and pictures; the cosine of two vectors says how well they fit."""

    name: str

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Vectors of B texts."""
        ...

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """L2-normalised vectors, shape (B, D)."""
        ...


def load_scorer(name: str, *, trusts_code: bool = False) -> Scorer:
    """A model that `sentence-transformers` reads, or a CLIP-like one of `transformers`.

    Args:
        name: A directory, such as one that `python -m trainer train` exported, or a name on
            the Hub.
        trusts_code: Whether Python code that comes with the model may run.

    Raises:
        ScorerError: It cannot be loaded, brings code that was not allowed, or has no text or no
            image side.
    """
    directory = Path(name)
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as exc:
        raise ScorerError(
            f"scorer {name!r} needs torch and transformers ({exc}). {install_extra('score')}."
        ) from exc
    if directory.is_dir() and not trusts_code and any(directory.rglob("*.py")):
        raise ScorerError(
            f"{name}: the model brings Python code of its own. If you trust whoever wrote it, "
            "add --trust-code."
        )
    try:
        if _is_sentence_transformer(name):
            return SentenceTransformerScorer(name, trusts_code)
        return ClipScorer(name)
    except ScorerError:
        raise
    except Exception as exc:  # missing files, no network, unknown architecture, …
        problem = " ".join(str(exc).split())[:300]
        raise ScorerError(
            f"scorer {name!r} cannot be loaded ({type(exc).__name__}: {problem}). Name a directory "
            "that `python -m trainer train` exported, or an image-text model on the Hub such as "
            "google/siglip2-base-patch16-224."
        ) from exc


def _is_sentence_transformer(name: str) -> bool:
    if Path(name).is_dir():
        return (Path(name) / "modules.json").exists()
    from transformers.utils.hub import cached_file

    found = cached_file(name, "modules.json", _raise_exceptions_for_missing_entries=False)
    return found is not None


class SentenceTransformerScorer:
    """A model in the layout of `sentence-transformers`, such as this project's trainer exports."""

    def __init__(self, name: str, trusts_code: bool) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as exc:
            raise ScorerError(
                f"scorer {name!r} needs sentence-transformers ({exc}). {install_extra('score')}."
            ) from exc
        self.name = name
        self._model: Any = SentenceTransformer(name, trust_remote_code=trusts_code)

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        if not self._has_plain_texts:
            joint_BD = self._embed(list(texts))
            return TextVectors(joint_BD, joint_BD)
        import torch

        model = self._model[0]
        features_BF = _features(model.text_tower, texts)
        with torch.inference_mode():
            joint_BD = model.embed_texts(features_BF)
        # Of several layers side by side the first is the text model's own.
        num_layers = len(getattr(model.text_tower, "layers", (0,)))
        plain_BF = features_BF[:, : features_BF.shape[1] // num_layers]
        return TextVectors(*(_as_unit(vectors, self.name) for vectors in (joint_BD, plain_BF)))

    @property
    def _has_plain_texts(self) -> bool:
        """Whether it is a dual encoder of this project's trainer, a tower and a head a side."""
        return all(hasattr(self._model[0], part) for part in ("text_tower", "embed_texts"))

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return self._embed(list(images))

    def _embed(self, inputs: list[Any]) -> NDArray[np.float32]:
        vectors_BD = self._model.encode(
            inputs, batch_size=_BATCH_SIZE, convert_to_numpy=True, show_progress_bar=False
        )
        return normalised(np.asarray(vectors_BD, dtype=np.float32), self.name)


class ClipScorer:
    """A model of `transformers` with a text and an image side, such as SigLIP2 and MetaCLIP2."""

    def __init__(self, name: str) -> None:
        import torch
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        self.name = name
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        model: Any = AutoModel.from_pretrained(name)
        if not hasattr(model, "get_text_features") or not hasattr(model, "get_image_features"):
            raise ScorerError(
                f"scorer {name!r}: a {type(model).__name__} has no text and image side in one "
                "space. Name a model like SigLIP2, MetaCLIP2 or jina-clip."
            )
        self._model = model.eval().to(self._device)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
        self._processor: Any = AutoImageProcessor.from_pretrained(name)
        text_config = getattr(model.config, "text_config", None)
        self._max_tokens = getattr(text_config, "max_position_embeddings", 64)

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        joint_BD = self._embed(self._model.get_text_features, texts, self._tokens)
        return TextVectors(joint_BD, joint_BD)

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return self._embed(self._model.get_image_features, images, self._pixels)

    def _tokens(self, texts: Sequence[str]) -> Any:
        # SigLIP was trained with texts padded to their greatest length.
        return self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        )

    def _pixels(self, images: Sequence[Image.Image]) -> Any:
        return self._processor(images=list(images), return_tensors="pt")

    def _embed(self, embed: Any, items: Sequence[Any], prepare: Any) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(items), _BATCH_SIZE):
            inputs = prepare(items[start : start + _BATCH_SIZE]).to(self._device)
            with self._torch.inference_mode():
                output = embed(**inputs)
            if not self._torch.is_tensor(output):
                output = output.pooler_output
            parts.append(output.float().cpu().numpy())
        return normalised(np.concatenate(parts), self.name)


def _features(tower: Any, texts: Sequence[str]) -> Any:
    """Features of a tower of this project's trainer, shape (B, F).

    Texts of like length go together. On a CPU every core computes batches of its own, as cores
    that share one wait for one another at every layer.
    """
    import torch

    prepared = [tower.prepare(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda place: tower.num_tokens(prepared[place]))
    size = tower.batch_size
    batches = [order[start : start + size] for start in range(0, len(order), size)]

    def forward(places: Sequence[int]) -> Any:
        with torch.inference_mode():
            return tower([prepared[place] for place in places]).float()

    weight = next(tower.parameters(), None)
    if weight is not None and weight.device.type != "cpu":
        parts = list(map(forward, batches))
    else:
        with ThreadPoolExecutor(
            os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            parts = list(pool.map(forward, batches))
    places = torch.tensor([place for batch in batches for place in batch])
    return torch.cat(parts)[torch.argsort(places).to(parts[0].device)]


def _as_unit(vectors_BD: Any, name: str) -> NDArray[np.float32]:
    return normalised(vectors_BD.float().cpu().numpy(), name)


def normalised(vectors_BD: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Vectors of unit length.

    Raises:
        ScorerError: Some are not numbers, or have no length.
    """
    lengths_B1 = np.linalg.norm(vectors_BD, axis=1, keepdims=True)
    if not np.isfinite(vectors_BD).all() or not (lengths_B1 > 0).all():
        raise ScorerError(
            f"scorer {name!r} gives embeddings that are not numbers or have no length; nothing was "
            "scored. Name another model, or train this one again."
        )
    return (vectors_BD / lengths_B1).astype(np.float32)
