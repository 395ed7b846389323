"""Image embedders: the built-in descriptor, the packaged vision model, or any of Hugging Face."""

# B images, D embedding

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builder.images.descriptor import DescriptorEmbedder
from builder.images.efficientnet import EfficientNetEmbedder, is_packaged_model_installed
from builder.images.fingerprint import on_white
from builder.images.store import ImageStore
from command_line.extras import install_extra
from schemas.errors import PolysceneError

#: The configuration's word for whichever embedder suits the corpus.
AUTO = "auto"
#: How groups of the bundled pictograms begin.
PICTOGRAM_GROUP = "pictogram:"


class EmbedderError(PolysceneError):
    """A vision model cannot be loaded, or has no image embedding."""


class Embedder(Protocol):
    """Turns images into vectors whose cosine is their similarity.

    `name` is part of cache file names: two embedders of the same name give equal
    vectors. `device` is "cpu" or another that torch knows. `default_window` is the
    (least, greatest) cosine of a positive or hard negative to its query image; None
    has it calibrated on the corpus.
    """

    name: str
    batch_size: int
    device: str

    @property
    def default_window(self) -> tuple[float, float] | None:
        """The window, if it is the same for every corpus."""
        ...

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """L2-normalised vectors, shape (B, D)."""
        ...


class VisionModelEmbedder:
    """A vision model of `transformers`: CLIP, SigLIP, DINO, ViT and the like.

    Uses the model's own image embedding where it has one, else its pooled
    output, else the mean over patches.

    Args:
        name: Name on the Hub, or a directory.

    Raises:
        EmbedderError: `transformers` is not installed, or the model cannot be loaded.
    """

    default_window = None
    batch_size = 16

    def __init__(self, name: str) -> None:
        try:
            import torch
            from transformers import AutoImageProcessor, AutoModel
        except ImportError as exc:
            raise EmbedderError(
                f"embedder {name!r} needs torch and transformers ({exc}). "
                f"{install_extra('embed')}; or use `embedder: descriptor`."
            ) from exc
        self._torch = torch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._processor: Any = AutoImageProcessor.from_pretrained(name)
            model: Any = AutoModel.from_pretrained(name)
        except Exception as exc:  # missing files, no network, unknown architecture, …
            problem = " ".join(str(exc).split())[:300]
            raise EmbedderError(
                f"embedder {name!r} cannot be loaded ({type(exc).__name__}: {problem}). Name a "
                "vision model on the Hub or a directory, or use `embedder: descriptor`."
            ) from exc
        self._model = model.eval().to(self.device)
        self.name = f"{name}@{_weights_key(name, model)}"

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """L2-normalised vectors, shape (B, D)."""
        pixels = self._processor(images=[on_white(image) for image in images], return_tensors="pt")
        pixels = {key: value.to(self.device) for key, value in pixels.items()}
        with self._torch.inference_mode():
            output_BD = self._image_embedding(pixels)
        vectors_BD = output_BD.float().cpu().numpy().reshape(len(images), -1)
        length = np.linalg.norm(vectors_BD, axis=1, keepdims=True)
        return (vectors_BD / np.maximum(length, 1e-6)).astype(np.float32)

    def _image_embedding(self, pixels: dict[str, Any]) -> Any:
        if hasattr(self._model, "get_image_features"):
            output = self._model.get_image_features(**pixels)
        else:
            output = self._model(**pixels)
        if self._torch.is_tensor(output):
            return output
        for field in ("image_embeds", "pooler_output"):
            if getattr(output, field, None) is not None:
                return getattr(output, field)
        if getattr(output, "last_hidden_state", None) is not None:
            hidden = output.last_hidden_state
            return hidden.mean(dim=1) if hidden.dim() == 3 else hidden.mean(dim=(2, 3))
        raise EmbedderError(f"embedder {self.name!r} has no image embedding. Name another model.")


def _weights_key(name: str, model: Any) -> str:
    """Identifies weights among others of the same name: by commit on the Hub, or file contents."""
    commit = getattr(model.config, "_commit_hash", None)
    directory = Path(name)
    if not directory.is_dir():
        return str(commit or "unknown")[:12]
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        if path.suffix in {".json", ".safetensors", ".bin"}:
            with path.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:12]


def load_embedder(name: str, store: ImageStore) -> Embedder:
    """The embedder a configuration names.

    Args:
        name: "descriptor", "efficientnet-lite0", a vision model, or "auto": the packaged vision
            model where it is installed, the descriptor for a corpus of nothing but pictograms.
        store: The corpus. What "auto" first stood for is kept there, so that installing a
            package does not change what was planned.

    Raises:
        EmbedderError: A vision model cannot be loaded.
        MissingExtraError: The packaged one is named, and not installed.
    """
    return named_embedder(embedder_name(name, store))


def named_embedder(name: str) -> Embedder:
    """An embedder by a name other than "auto"; raises as `load_embedder` does."""
    if name == "descriptor":
        return DescriptorEmbedder()
    return (
        EfficientNetEmbedder() if name == EfficientNetEmbedder.name else VisionModelEmbedder(name)
    )


def embedder_name(name: str, store: ImageStore) -> str:
    """What a configuration's embedder stands for in a corpus; nothing is loaded."""
    return _chosen_embedder(store) if name == AUTO else name


def is_blind(name: str, store: ImageStore) -> bool:
    """Whether an embedder compares colours and edges of images that are not all pictograms."""
    return embedder_name(name, store) == "descriptor" and not _is_pictograms(store)


def _is_pictograms(store: ImageStore) -> bool:
    return all(record.group.startswith(PICTOGRAM_GROUP) for record in store.records())


def _chosen_embedder(store: ImageStore) -> str:
    path = store.directory / "embedder"
    with contextlib.suppress(FileNotFoundError):
        chosen = path.read_text(encoding="utf-8").strip()
        if chosen in ("descriptor", EfficientNetEmbedder.name):
            return chosen
    was_described = any(store.directory.glob("embeddings/descriptor-1-*"))
    needs_descriptor = _is_pictograms(store) or was_described or not is_packaged_model_installed()
    if needs_descriptor:  # not noted before a plan has used it, so that another may still come
        return "descriptor"
    if len(store):
        path.write_text(f"{EfficientNetEmbedder.name}\n", encoding="utf-8")
    return EfficientNetEmbedder.name
