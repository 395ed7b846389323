"""Vision-language models as encoders: one path for all families, trained with LoRA or in full."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import torch
from safetensors import SafetensorError
from torch import Tensor

from trainer.config import ModelConfig, Tune
from trainer.data.items import Item, ItemModality
from trainer.encoders.base_model import BaseModelError, find_base_model, head_of
from trainer.encoders.encoder import Encoder, Pictures
from trainer.encoders.lora import add_lora, lora_layers, merged_weights, save_adapter
from trainer.encoders.portable_files import copy_portable
from trainer.portable.families import UnknownFamilyError
from trainer.portable.image_reader import ImageInput, UnfitPictureError
from trainer.portable.pooling import EmbeddingHead
from trainer.portable.vision_features import ImageFeatures
from trainer.portable.vision_language import PreparedItem, VisionLanguageModel

# B items, D embedding

#: What transformers, safetensors and our own checks raise for incomplete or damaged files.
_UNREADABLE = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)
_MAX_REASON_CHARS = 300


class VisionLanguageEncoder(Encoder):
    """Items of any kind through a vision-language model; the end token's state is the embedding.

    A model that is already an embedder keeps its pooling, prompts and
    normalisation. A vision tower without LoRA is frozen: it stays in
    evaluation mode, and `images_once` runs it once per distinct image.

        encoder = VisionLanguageEncoder.from_pretrained(ModelConfig(name="Qwen/Qwen3-VL-2B"))
        prepared = [encoder.prepare(item, pictures) for item in items]
        with encoder.images_once(prepared):
            embedding_BD = encoder(prepared)

    Args:
        model: As it was read.
        head: From its token states to embeddings.
        config: `tune` None trains nothing.
        seed: Of LoRA's weights.
    """

    takes: ClassVar[Collection[ItemModality]] = frozenset({"T", "I", "IT"})

    def __init__(
        self, model: VisionLanguageModel, head: EmbeddingHead, config: ModelConfig, seed: int = 0
    ) -> None:
        super().__init__()
        self.model = model
        self.head = head
        self.embedding_dim = head.embedding_dim
        self.tune: Tune | None = config.tune
        self._features: Mapping[str, ImageFeatures] = {}
        self._pictures: WeakValueDictionary[str, ImageInput] = WeakValueDictionary()
        self._base_name = Path(config.name).name if Path(config.name).is_dir() else config.name
        self.requires_grad_(self.tune == "full")
        if self.tune == "lora":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                add_lora(
                    model.model,
                    config.lora,
                    language_model=model.family.language_model,
                    vision=model.family.vision,
                    name=config.name,
                )
        self.note = self._describe(config)

    @classmethod
    def from_pretrained(cls, config: ModelConfig, seed: int = 0) -> "VisionLanguageEncoder":
        """The encoder before its first step, in training mode.

        Args:
            config: `name` is a directory or a name on a Hub; `tune` None means LoRA.
            seed: Of LoRA's weights.

        Raises:
            BaseModelError: There is no such model, it is not complete, or not of a known type.
            LoraError: LoRA matches nothing, or the vision tower unasked.
        """
        tune = config.tune or "lora"
        if tune == "heads":
            raise BaseModelError(
                config.name, 'tune "heads" is for two towers', 'Take "lora" or "full".'
            )
        directory = find_base_model(config.name, config.revision)
        return cls._read(directory, config.model_copy(update={"tune": tune}), seed).train()

    @classmethod
    def load(
        cls, directory: Path, config: ModelConfig | None = None, seed: int = 0
    ) -> "VisionLanguageEncoder":
        """The encoder that `save` wrote, in evaluation mode.

        Args:
            directory: Holds it.
            config: For training it on; None trains nothing.
            seed: Of LoRA's weights.

        Raises:
            BaseModelError: The directory has no such model, or it is damaged.
        """
        given = (config or ModelConfig()).model_copy(update={"name": str(directory)})
        return cls._read(find_base_model(str(directory)), given, seed).eval()

    @classmethod
    def _read(cls, directory: Path, config: ModelConfig, seed: int) -> "VisionLanguageEncoder":
        # A saved model's own bounds hold where the config says nothing of its own.
        given = config.model_fields_set
        try:
            model = VisionLanguageModel(
                directory,
                dtype=_dtype(config),
                max_tokens=config.max_tokens if "max_tokens" in given else None,
                max_image_pixels=config.max_image_pixels,
            )
            head = head_of(directory, model.hidden_size, config.pooling)
        except UnknownFamilyError as exc:
            raise BaseModelError(
                config.name,
                str(exc).split(". ")[0],
                f"{str(exc).split('. ')[1]} Two towers are named TEXT+IMAGE.",
            ) from exc
        except _UNREADABLE as exc:
            reason = " ".join(str(exc).split())[:_MAX_REASON_CHARS].rstrip(".")
            raise BaseModelError(
                config.name,
                f"the model cannot be read: {reason}",
                "Check the files of the directory, or take another base model.",
            ) from exc
        return cls(model, head, config, seed)

    @property
    def trains_vision(self) -> bool:
        """Whether gradients reach the vision tower or its connector."""
        return any(
            parameter.requires_grad
            for part in self.model.vision_parts
            for parameter in part.parameters()
        )

    def train(self, mode: bool = True) -> "VisionLanguageEncoder":
        super().train(mode)
        if not self.trains_vision:
            for part in self.model.vision_parts:
                part.eval()
        return self

    def enable_gradient_checkpointing(self) -> None:
        """Recomputes the language model's layers in the backward pass: less memory, more time."""
        network = self.model.model
        is_renamed = hasattr(network, "activation_checkpointing_enable")  # since transformers 5.2x
        name = "activation" if is_renamed else "gradient"
        getattr(network, f"{name}_checkpointing_enable")({"use_reentrant": False})

    def prepare(self, item: Item, pictures: Pictures) -> PreparedItem:
        """Token ids and pixels; an image's pixels are shared by all items that have it.

        Raises:
            BaseModelError: The model takes no picture of this shape.
        """
        image = None if item.image is None else self._image(item.image, pictures)
        return self.model.prepare(item.instruction, item.text, image)

    def forward(self, batch: Sequence[PreparedItem]) -> Tensor:
        images = {item.picture.key: item.picture for item in batch if item.picture is not None}
        waiting = [image for key, image in images.items() if key not in self._features]
        with self._autocast():
            features = {**self._features, **self._image_features(waiting)}
            states_BLH, mask_BL = self.model.states(batch, features)
        return self.head(states_BLH, mask_BL)

    @contextmanager
    def images_once(self, batch: Sequence[PreparedItem]) -> Iterator[None]:
        """Within it, a frozen vision tower runs once for each distinct image of these items.

        One that is trained runs in each forward pass, or gradients would be lost.
        """
        if not self.trains_vision:
            images = [item.picture for item in batch if item.picture is not None]
            with self._autocast():
                self._features = self._image_features(images)
        try:
            yield
        finally:
            self._features = {}

    def save(self, directory: Path) -> None:
        """Writes the merged model, the LoRA alone in `adapter/`, and the code that reads it.

        `SentenceTransformer(directory, trust_remote_code=True)` loads it.
        """
        directory.mkdir(parents=True, exist_ok=True)
        network = self.model.model
        self.model.save(directory, weights=merged_weights(network) if self.tune == "lora" else None)
        first = {"path": "", "type": f"vision_language.{VisionLanguageModel.__name__}"}
        self.head.save(directory, first)
        copy_portable("trainer.portable.vision_language", directory)
        text_format = self.model.text_format
        settings = {
            "model_type": "SentenceTransformer",
            "similarity_fn_name": "cosine",
            "prompts": dict(text_format.prompts),
            "default_prompt_name": text_format.default_prompt_name,
        }
        text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        (directory / "config_sentence_transformers.json").write_text(text, encoding="utf-8")
        if self.tune == "lora":
            save_adapter(network, directory, self._base_name)

    def _image(self, sha256: str, pictures: Pictures) -> ImageInput:
        image = self._pictures.get(sha256)
        if image is None:
            picture = pictures.picture(sha256)
            try:
                image = self.model.reader(picture, sha256)
            except UnfitPictureError as exc:
                raise BaseModelError(
                    f"image {sha256}", str(exc).rstrip("."), "Drop its rows, or scale it."
                ) from exc
            self._pictures[sha256] = image
        return image

    def _image_features(self, images: Sequence[ImageInput]) -> dict[str, ImageFeatures]:
        try:
            with nullcontext() if self.trains_vision else torch.no_grad():
                return self.model.image_features(images)
        except (ValueError, RuntimeError) as exc:
            if "memory" in str(exc).lower():  # the caller takes smaller chunks
                raise
            reason = " ".join(str(exc).split())[:_MAX_REASON_CHARS].rstrip(".")
            raise BaseModelError(
                self._base_name,
                f"the image settings do not fit the model ({reason})",
                "Copy preprocessor_config.json from the original model.",
            ) from exc

    def _autocast(self) -> Any:
        """Half precision in the passes of a model whose float32 weights are trained on a GPU."""
        device = self.model.device
        weights = next(self.model.model.parameters()).dtype
        is_on = self.tune == "full" and device.type == "cuda" and weights == torch.float32
        return torch.autocast(device.type, torch.bfloat16, enabled=is_on)

    def _describe(self, config: ModelConfig) -> str:
        model_type = self.model.model.config.model_type
        if self.tune == "lora":
            num_layers = len(lora_layers(self.model.model))
            where = "language model and vision tower" if config.lora.vision else "language model"
            kind = "DoRA" if config.lora.dora else "LoRA"
            what = f"{kind} of rank {config.lora.rank} on {num_layers} layers of the {where}"
        else:
            what = "every weight is trained" if self.tune == "full" else "no weight is trained"
        return f"A vision-language model ({model_type}); {what}; pooling {self.head.mode}."


def _dtype(config: ModelConfig) -> torch.dtype:
    """Half precision for frozen weights on a GPU, float32 elsewhere."""
    if config.dtype != "auto":
        return getattr(torch, config.dtype)
    return torch.bfloat16 if torch.cuda.is_available() and config.tune != "full" else torch.float32
