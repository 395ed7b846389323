"""Dual encoders made from transformers models: CLIP and similar, or any two towers."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from trainer.config import ModelConfig
from trainer.encoders.base_model import MODULES_NAME, BaseModelError, find_base_model
from trainer.encoders.choice import find_model, model_type
from trainer.encoders.dual import DualEncoder, default_cache, seeded_model
from trainer.encoders.encoder import Encoder
from trainer.encoders.feature_cache import FeatureCache
from trainer.errors import SettingError
from trainer.portable.clip import CLIP_TYPES, read_clip
from trainer.portable.dual import DualModel
from trainer.portable.hub_towers import HubImageTower, HubTextTower
from trainer.portable.pooling import EmbeddingHead, PoolingMode, read_head
from trainer.portable.text_format import TextFormat
from trainer.portable.tower import Tower

_T = TypeVar("_T")

_JOIN = "+"
#: E5 wants a prefix (its model cards), which no file of it names; its instruct variant does not.
_E5 = re.compile(r"(?:^|[^a-z])e5(?![a-z])(?!.*instruct)", re.IGNORECASE)
_E5_PREFIX = "query: "


def is_dual(config: ModelConfig, directory: Path | None) -> bool:
    """Whether a model is a dual encoder: two towers "TEXT+IMAGE", or CLIP and similar.

    Args:
        config: Its name.
        directory: Its directory; None means a name on a Hub, which is downloaded.

    Raises:
        BaseModelError: There is no such model.
    """
    if directory is None and _JOIN in config.name:
        return True
    if directory is None:
        directory = find_base_model(config.name, config.revision)
    return model_type(directory) in CLIP_TYPES


def make_hub_dual_encoder(
    config: ModelConfig, seed: int = 0, cache: FeatureCache | None = None
) -> Encoder:
    """The encoder before its first step, in training mode.

    A CLIP-like model keeps its own space, unless only heads are trained above
    its frozen sides. Two towers always have heads. An image tower without LoRA
    is frozen, and its features are kept on disk.

        make_hub_dual_encoder(ModelConfig(name="google/siglip2-base-patch16-naflex"))
        make_hub_dual_encoder(ModelConfig(name="intfloat/multilingual-e5-base+facebook/dinov2-base"))

    Args:
        config: `name` is a CLIP-like model, or "TEXT+IMAGE" with `OWNER/NAME@REVISION` on
            either side; `tune` None means LoRA.
        seed: Of heads and LoRA.
        cache: None means the user's.

    Raises:
        BaseModelError: A model is not there, not complete, or has no such side.
        LoraError: LoRA matches nothing.
        SettingError: A setting does not apply to the model.
    """
    _check_settings(config)
    tune = config.tune or "lora"
    towers = _two_names(config.name)
    if towers is None:
        directory = find_base_model(config.name, config.revision)
        text, image = _read(config.name, lambda: read_clip(directory, config.max_tokens))
        note = f"{_base_name(config.name)}, a dual encoder ({model_type(directory)})"
    else:
        text = _text_tower(towers[0], config)
        image = _image_tower(towers[1])
        note = f"{_base_name(towers[0])} for texts beside {_base_name(towers[1])} for images"
    has_heads = towers is not None or tune == "heads"
    model = (
        seeded_model(text, image, config, seed)
        if has_heads
        else DualModel(text, image, embedding_dim=None, dropout=0.0)
    )
    return DualEncoder(
        model,
        note=f"{note}; {_what_is_trained(config, has_heads=has_heads)}.",
        tune=tune,
        lora=config.lora,
        seed=seed,
        base_name=_base_name(towers[0] if towers else config.name),
        image_base_name=_base_name(towers[1] if towers else config.name),
        cache=cache or default_cache(),
        dtype=config.dtype,
        is_seeded=has_heads,
    )


def text_prefix(directory: Path, name: str) -> str:
    """The prefix of texts that are compared with images: a model's prompt for queries.

    A prompt that names a task is left out, as the task would be a different one.

    Args:
        directory: Of the model.
        name: As the user gave it; E5 is known by it.
    """
    text_format = TextFormat.of_embedder(directory)
    default = text_format.prompts.get(text_format.default_prompt_name or "")
    if default is not None:
        return default
    if text_format.query is not None and "{instruction}" not in text_format.query:
        return text_format.query
    return _E5_PREFIX if _E5.search(Path(name).name) else ""


def _text_tower(name: str, config: ModelConfig) -> Tower:
    directory = _named_directory(name)

    def read() -> Tower:
        if model_type(directory) in CLIP_TYPES:
            return read_clip(directory, config.max_tokens)[0]
        return HubTextTower.read(
            directory,
            _pooling_of(directory, config),
            max_tokens=min(config.max_tokens, _max_seq_length(directory) or config.max_tokens),
            prefix=text_prefix(directory, name),
        )

    return _read(name, read)


def _image_tower(name: str) -> Tower:
    directory = _named_directory(name)

    def read() -> Tower:
        if model_type(directory) in CLIP_TYPES:
            return read_clip(directory, max_tokens=8)[1]
        return HubImageTower.read(directory)

    return _read(name, read)


def _pooling_of(directory: Path, config: ModelConfig) -> EmbeddingHead | PoolingMode:
    """What the model's `modules.json` says, unless the config does; else the mean over tokens."""
    mode: PoolingMode = "lasttoken" if config.pooling == "last" else "mean"
    path = directory / MODULES_NAME
    if not path.is_file():
        return mode
    head = read_head(directory, json.loads(path.read_text(encoding="utf-8")))
    if config.pooling != "auto":
        head.mode = mode
    return head


def _max_seq_length(directory: Path) -> int | None:
    """The token limit that sentence-transformers saves beside a model."""
    path = directory / "sentence_bert_config.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = content.get("max_seq_length")
    return found if isinstance(found, int) and found > 0 else None


def _check_settings(config: ModelConfig) -> None:
    if config.max_image_pixels is not None:
        raise SettingError(
            "max-image-pixels",
            str(config.max_image_pixels),
            "the image tower scales every picture to its own size. Leave the option out.",
        )


def _two_names(name: str) -> tuple[str, str] | None:
    """Text and image tower of "TEXT+IMAGE"; None for one model.

    Raises:
        BaseModelError: The name does not have exactly two towers.
    """
    if _JOIN not in name or find_model(name) is not None:
        return None
    sides = name.split(_JOIN)
    ways = [(_JOIN.join(sides[:at]), _JOIN.join(sides[at:])) for at in range(1, len(sides))]
    # Directories may have a plus in their names; repositories do not.
    ways = [way for way in ways if all(_may_be_model(side) for side in way)]
    if len(ways) != 1:
        raise BaseModelError(
            name, f"does not name two towers, parted by one {_JOIN}", "Write TEXT+IMAGE."
        )
    return ways[0]


def _may_be_model(name: str) -> bool:
    return bool(name) and (_JOIN not in name or find_model(name) is not None)


def _named_directory(name: str) -> Path:
    """Of one of two towers; a repository may be followed by @REVISION."""
    repository, _, revision = name.rpartition("@")
    if find_model(name) is None and repository:
        return find_base_model(repository, revision)
    return find_base_model(name)


def _read(name: str, read: Callable[[], _T]) -> _T:
    """What `read` returns; an error in a model's files is reported in one line.

    Raises:
        BaseModelError: Anything did.
    """
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as exc:
        sentence = re.split(r"(?<=[.!?]) ", " ".join(str(exc).split()))[0]
        reason = sentence.rstrip(".") or type(exc).__name__
        raise BaseModelError(
            name,
            f"the model cannot be read: {reason}",
            "Check its files (weights as safetensors, tokenizer, image settings), or take another.",
        ) from exc


def _base_name(name: str) -> str:
    """A name on the Hub as it is, of a directory the last part: paths stay out of exports."""
    directory = find_model(name)
    return name if directory is None else directory.resolve().name


def _what_is_trained(config: ModelConfig, *, has_heads: bool) -> str:
    tune = config.tune or "lora"
    if tune == "heads":
        return "heads are trained above both frozen towers"
    if tune == "full":
        return "every weight is trained"
    kind = "DoRA" if config.lora.dora else "LoRA"
    where = "both towers" if config.lora.vision else "the text tower"
    heads = " under trained heads" if has_heads else ""
    return f"{kind} of rank {config.lora.rank} on {where}{heads}"
