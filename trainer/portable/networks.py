"""Networks of transformers: read whole or not at all, and built again from plain settings."""

import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoModelForTextEncoding

from trainer.portable.quiet import quiet

#: What a config says of the file it came from; it changes no vector.
_PROVENANCE = frozenset({"_name_or_path", "transformers_version", "architectures", "dtype"})
_LOCAL: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


def read_network(directory: Path) -> Any:
    """The network that lies in a directory: in float32, without pooling layer and task head.

    Of an encoder and decoder, the encoder. No code of the directory is run.

    Raises:
        ValueError: It lacks weights, or is of no type that transformers knows.
        OSError: Files are missing.
    """
    with quiet():  # it reports the task head that is left out
        config = AutoConfig.from_pretrained(directory, **_LOCAL)
        auto_class, options = _way_to_build(config)
        try:
            model, info = auto_class.from_pretrained(
                directory,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                use_safetensors=True,
                **options,
                **_LOCAL,
            )
        except SafetensorError as exc:
            raise ValueError(f"its weights are damaged ({exc})") from exc
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"its weights lack {len(missing)} tensors of the model, such as {missing[0]}"
        )
    return model.eval()


def build_network(settings: dict[str, Any]) -> Any:
    """A network of the config that `plain_config` wrote down, with random weights.

    The global random state stays as it is.
    """
    config = config_from(settings)
    auto_class, options = _way_to_build(config)
    with torch.random.fork_rng(devices=[]), quiet():
        return auto_class.from_config(config, **options).eval()


def plain_config(config: Any) -> dict[str, Any]:
    """All values of a network's config as plain JSON, without where it came from."""
    return _without_provenance(json.loads(config.to_json_string(use_diff=False)))


def config_from(settings: dict[str, Any]) -> Any:
    """The config that `plain_config` wrote down."""
    values = dict(settings)
    with quiet():
        return AutoConfig.for_model(values.pop("model_type"), **values)


def num_positions(model: torch.nn.Module) -> int | None:
    """Tokens that a text network has learned positions for; None where it has no such table."""
    for name, module in model.named_modules():
        if "position" in name.rpartition(".")[2] and isinstance(module, torch.nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - first
    return None


def in_chunks(lengths: Sequence[int], num_items: int) -> Iterator[list[int]]:
    """Item numbers in chunks, items of like length together."""
    order = sorted(range(len(lengths)), key=lambda number: lengths[number])
    for start in range(0, len(order), num_items):
        yield order[start : start + num_items]


def _way_to_build(config: Any) -> tuple[Any, dict[str, Any]]:
    """The auto class for a config, and what its model's constructor wants.

    Pooling layers are left out: few checkpoints have their weights, and they
    were trained for another task.
    """
    if getattr(config, "is_encoder_decoder", False):
        return AutoModelForTextEncoding, {}
    if hasattr(config, "use_cache"):
        config.use_cache = False
    found: Any = MODEL_MAPPING.get(type(config), None)
    model_class = found[0] if isinstance(found, tuple) else found
    parameters = inspect.signature(model_class.__init__).parameters if model_class else {}
    return AutoModel, {"add_pooling_layer": False} if "add_pooling_layer" in parameters else {}


def _without_provenance(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_provenance(item)
            for name, item in value.items()
            if name not in _PROVENANCE
        }
    return value
