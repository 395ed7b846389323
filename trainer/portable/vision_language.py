"""A vision-language model as an embedder: texts, images and both, into one space.

It is a module of sentence-transformers (6.0 or newer):

    model = SentenceTransformer(directory, trust_remote_code=True)
    model.encode(["a red bicycle", picture, {"image": picture, "text": "Which colour?"}])
    model.encode(["a red bicycle"], prompt="Retrieve an image of this caption.")
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModel, AutoTokenizer

from schemas.pictures import on_white
from trainer.portable.families import family_of
from trainer.portable.image_reader import ImageInput, ImageReader
from trainer.portable.item_tokens import ItemTokens
from trainer.portable.quiet import quiet
from trainer.portable.text_format import TextFormat, read_json
from trainer.portable.vision_features import (
    ImageFeatures,
    cross_attention,
    given_features,
    image_features,
)

# B items, L tokens, H hidden

SETTINGS_NAME = "vision_language.json"
#: What is read of a model on a Hub: never code, never pickled weights.
FILE_PATTERNS = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")
#: Other forms of the same weights, which some repositories have beside them.
IGNORED_PATTERNS = ("original/*", "consolidated*", "onnx/*", "openvino/*", "adapter/*")


@dataclass(frozen=True, slots=True)
class PreparedItem:
    """Token ids of an item, and its picture."""

    token_ids: tuple[int, ...]
    picture: ImageInput | None = None

    @property
    def num_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def image(self) -> str | None:
        return None if self.picture is None else self.picture.key


class VisionLanguageModel(nn.Module):
    """Token states of items that have an instruction, an image and a text, each optional.

    Args:
        directory: A model as transformers saves it, with tokenizer and image settings.
        dtype: Of the weights.
        max_tokens: Longer texts are truncated; images never are.
        max_image_pixels: Larger pictures are reduced first.
        text_format: None takes what the directory says: its own settings if it was
            written by `save`, its prompts if it is an embedder, else the plain format.

    Raises:
        ValueError: The directory is not a complete model of a known type.
    """

    def __init__(
        self,
        directory: Path,
        *,
        dtype: torch.dtype = torch.float32,
        max_tokens: int | None = None,
        max_image_pixels: int | None = None,
        text_format: TextFormat | None = None,
    ) -> None:
        super().__init__()
        saved = read_json(directory / SETTINGS_NAME)
        self.max_tokens: int = max_tokens or saved.get("max_tokens") or 256
        self.max_image_pixels: int | None = max_image_pixels or saved.get("max_image_pixels")
        self.text_format = text_format or format_of(directory)
        local: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        config = AutoConfig.from_pretrained(directory, **local)
        self.family = family_of(config.model_type)
        for part in (config, config.get_text_config()):
            part.use_cache = False
        tokenizer = AutoTokenizer.from_pretrained(directory, **local)
        self.tokens = ItemTokens(tokenizer, config, self.family, self.text_format, self.max_tokens)
        self.reader = ImageReader(
            directory,
            self.family,
            self.tokens.vocabulary,
            max_pixels=self.max_image_pixels,
            dtype=torch.float32 if dtype == torch.float64 else dtype,
        )
        self.model: Any = _load_weights(directory, config, dtype, local)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def hidden_size(self) -> int:
        text_config = self.model.config.get_text_config()
        return getattr(text_config, "embedding_dim", None) or text_config.hidden_size

    @property
    def vision_parts(self) -> list[nn.Module]:
        """Vision tower and connector."""
        return [self.model.get_submodule(name) for name in self.family.vision]

    def prepare(
        self,
        instruction: str | None,
        text: str | None,
        picture: ImageInput | None,
    ) -> PreparedItem:
        """Token ids of an item; its picture comes from `reader`."""
        image_ids = None if picture is None else picture.token_ids
        return PreparedItem(tuple(self.tokens(instruction, text, image_ids)), picture)

    def image_features(self, images: Sequence[ImageInput]) -> dict[str, ImageFeatures]:
        """What the vision tower gives for distinct pictures, by their keys."""
        return image_features(self.model, self.family, images)

    def states(
        self, batch: Sequence[PreparedItem], features: Mapping[str, ImageFeatures]
    ) -> tuple[Tensor, Tensor]:
        """Last hidden states of items, padded on the right.

        Args:
            features: Of the pictures of these items, and maybe of others.

        Returns:
            States of shape (B, L, H), and a mask of shape (B, L) with 1 at tokens.
        """
        device = self.device
        ids = [torch.tensor(item.token_ids) for item in batch]
        mask_BL = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
        ids_BL = pad_sequence(ids, batch_first=True, padding_value=self.tokens.pad_id)
        inputs: dict[str, Tensor] = {"input_ids": ids_BL, "attention_mask": mask_BL}
        if self.family.kind_input is not None:
            is_image_BL = (ids_BL == self.tokens.vocabulary.image_id) & mask_BL.bool()
            inputs[self.family.kind_input] = is_image_BL.long() * self.family.image_kind
        images = [(row, item.picture) for row, item in enumerate(batch) if item.picture is not None]
        for name in self.family.position_inputs if images else ():
            inputs[name] = torch.cat([image.tensors[name] for _, image in images])
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        mask_BL = inputs["attention_mask"]
        if self.family.features == "cross":
            num_tiles = self.model.config.vision_config.max_num_tiles
            inputs |= cross_attention(images, features, mask_BL, num_tiles)
        given = [features[image.key] for _, image in images]
        with given_features(self.model, self.family, given) as pixels:
            output = self.model(**inputs, **pixels)
        return output.last_hidden_state, mask_BL

    # What sentence-transformers calls.

    @property
    def modalities(self) -> list[Any]:
        """What sentence-transformers lets pass; "message" is its word for a mixed batch."""
        return ["text", "image", ("image", "text"), "message"]

    @property
    def tokenizer(self) -> Any:
        return self.tokens.tokenizer

    @property
    def max_seq_length(self) -> int:
        return self.max_tokens

    def get_embedding_dimension(self) -> int:
        return self.hidden_size

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Prepared items, in their order.

        Args:
            inputs: Texts, PIL pictures, or dicts with the keys "text", "image" or both. A text
                is a text even where it spells a path or an address.
            prompt: The instruction of all of them, or a prompt of the model.

        Raises:
            ValueError: An input is something else.
        """
        items: list[PreparedItem] = []
        for number, given in enumerate(inputs):
            text, picture = _parts(given)
            image = None if picture is None else self.reader(upright(picture), str(number))
            items.append(self.prepare(prompt, text, image))
        return {"items": items}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Adds "token_embeddings" (B, L, H) and "attention_mask" (B, L) for the pooling."""
        items: list[PreparedItem] = features["items"]
        images = [item.picture for item in items if item.picture is not None]
        states_BLH, mask_BL = self.states(items, self.image_features(images))
        features["token_embeddings"] = states_BLH
        features["attention_mask"] = mask_BL
        return features

    def save(
        self,
        directory: str | Path,
        *args: Any,
        weights: Mapping[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes weights, tokenizer, image settings and the text format.

        Args:
            weights: Instead of the model's own, such as those with adapters merged in.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        with torch.device("meta"):
            shell = AutoModel.from_config(self.model.config)
        shell.load_state_dict(weights or self.model.state_dict(), assign=True)
        with quiet():
            shell.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)
        self.reader.save(directory)
        settings = {
            "max_tokens": self.max_tokens,
            "max_image_pixels": self.max_image_pixels,
            "text_format": self.text_format.settings(),
        }
        text = json.dumps(settings, indent=2, ensure_ascii=False)
        (directory / SETTINGS_NAME).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        *,
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> "VisionLanguageModel":
        """The model that `save` wrote, from a directory or a Hub, in evaluation mode.

        Args:
            model_kwargs: "dtype" or "torch_dtype" of the weights; float32 by default.
        """
        directory = Path(model_name_or_path)
        if not directory.is_dir():
            from huggingface_hub import snapshot_download

            found = snapshot_download(
                model_name_or_path,
                revision=revision,
                token=token,
                cache_dir=cache_folder,
                local_files_only=local_files_only,
                allow_patterns=list(FILE_PATTERNS),
                ignore_patterns=list(IGNORED_PATTERNS),
            )
            directory = Path(found)
        options = model_kwargs or {}
        dtype = options.get("dtype") or options.get("torch_dtype") or torch.float32
        if isinstance(dtype, str):
            dtype = getattr(torch, dtype) if dtype != "auto" else torch.float32
        return cls(directory, dtype=dtype).eval()


def format_of(directory: Path) -> TextFormat:
    """How items are written for a model.

    As it was saved here, as the embedder that it is, or in the plain format.
    """
    saved = read_json(directory / SETTINGS_NAME).get("text_format")
    if saved:
        return TextFormat.from_settings(saved)
    modules = directory / "modules.json"
    if modules.is_file() and has_known_first_module(modules):
        return TextFormat.of_embedder(directory)
    return TextFormat()


def has_known_first_module(modules: Path) -> bool:
    """Whether a model's first module is that of sentence-transformers, not code of its own."""
    entries = json.loads(modules.read_text(encoding="utf-8"))
    return str(entries[0]["type"]).startswith("sentence_transformers.")


def upright(picture: Image.Image) -> Image.Image:
    """As it is meant to be seen: turned by its EXIF orientation, transparency on white, RGB."""
    return on_white(ImageOps.exif_transpose(picture))


def _parts(given: Any) -> tuple[str | None, Image.Image | None]:
    """Text and picture of an input of `encode`."""
    parts = given if isinstance(given, Mapping) else {}
    if isinstance(given, str):
        parts = {"text": given}
    elif isinstance(given, Image.Image):
        parts = {"image": given}
    text, picture = parts.get("text"), parts.get("image")
    if (
        not parts
        or set(parts) - {"text", "image"}
        or not isinstance(text, str | None)
        or not isinstance(picture, Image.Image | None)
    ):
        raise ValueError(
            f"an input of type {type(given).__name__}: give a text, a PIL image, or a dict with "
            'a "text" and an "image"; open files and addresses yourself.'
        )
    return text, picture


def _load_weights(
    directory: Path, config: Any, dtype: torch.dtype, options: Mapping[str, Any]
) -> nn.Module:
    """The base model without a language head, every weight found.

    Raises:
        ValueError: The directory lacks weights of the model.
    """
    with quiet():  # it reports the language head that is left out
        model, info = AutoModel.from_pretrained(
            directory, config=config, dtype=dtype, output_loading_info=True, **options
        )
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"its weights lack {len(missing)} tensors of the model, such as {missing[0]}; "
            "download it again"
        )
    return model
