"""LoRA by position: every linear layer of the language model, whatever its name."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn

from schemas.errors import PolysceneError
from trainer.config import LoraSettings

ADAPTER_FOLDER = "adapter"
_ADAPTER = "default"


class LoraError(PolysceneError):
    """LoRA is not on the layers it should be on.

    Args:
        model: Name or directory of the base model.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
    """

    def __init__(self, model: str, what: str, remedy: str) -> None:
        self.model = model
        self.what = what
        self.remedy = remedy
        super().__init__(f"{model}: {what}. {remedy}")


def add_lora(
    model: nn.Module,
    settings: LoraSettings,
    *,
    language_model: str,
    vision: Sequence[str],
    name: str,
) -> None:
    """Freezes the model and puts LoRA on the linear layers of its language model.

    LoRA's own weights are float32, whatever the model's are.

    Args:
        language_model: Attribute of the language model.
        vision: Attributes of vision tower and connector; they get LoRA where
            `settings.vision` asks for it.
        name: Of the base model, for messages.

    Raises:
        LoraError: It matches no layer, or is on a layer it should not be on.
    """
    places = [language_model, *(vision if settings.vision else ())]
    targets = [target for place in places for target in linear_layers(model, place)]
    if not targets:
        raise LoraError(
            name,
            f"LoRA matches nothing, for {' and '.join(filter(None, places)) or 'it'} has no "
            "linear layer",
            'Train every weight with tune "full", or take another base model.',
        )
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # pyright: ignore[reportArgumentType]  # any number works
        lora_dropout=settings.dropout,
        use_dora=settings.dora,
        target_modules=targets,
        task_type="FEATURE_EXTRACTION",
    )
    inject_adapter_in_model(config, model, _ADAPTER)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    check_lora(model, targets, vision=() if settings.vision else vision, name=name)


def check_lora(
    model: nn.Module, targets: Sequence[str], *, vision: Sequence[str], name: str
) -> None:
    """Checks that LoRA is on these layers, on all of them, and not in the vision tower.

    Raises:
        LoraError: It is elsewhere.
    """
    found = lora_layers(model)
    strayed = [layer for layer in found if layer.split(".")[0] in {p.split(".")[0] for p in vision}]
    if strayed:
        raise LoraError(
            name,
            f"LoRA is on {len(strayed)} layers of the vision tower, such as {strayed[0]}",
            "Ask for it with lora.vision, or report this type of model.",
        )
    missing = sorted(set(targets) - set(found))
    other = sorted(set(found) - set(targets))
    if missing or other:
        what = f"LoRA is not on {missing[0]}" if missing else f"LoRA is on {other[0]} unasked"
        raise LoraError(name, what, "Report this type of model; peft did not follow the list.")


def linear_layers(model: nn.Module, place: str) -> list[str]:
    """Paths of the linear layers within one part of a model; "" is the whole model.

    Those of `nn.MultiheadAttention` are left out: it never calls them as modules.
    """
    part = model.get_submodule(place)
    inner = {
        f"{path}.{child}" if path else child
        for path, module in part.named_modules()
        if isinstance(module, nn.MultiheadAttention)
        for child, _ in module.named_modules()
    }
    paths = [
        path
        for path, module in part.named_modules()
        if isinstance(module, nn.Linear) and path not in inner
    ]
    return [".".join(part for part in (place, path) if part) for path in paths]


def lora_layers(model: nn.Module) -> list[str]:
    """Paths of the layers that LoRA is on."""
    return [path for path, module in model.named_modules() if isinstance(module, LoraLayer)]


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights with LoRA merged in, under the names of the model without LoRA.

    The model itself stays as it is: merging and unmerging in place would let
    its weights drift in half precision.
    """
    layers = {
        path: module for path, module in model.named_modules() if isinstance(module, LoraLayer)
    }
    weights: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        owner = next((path for path in layers if name.startswith(f"{path}.")), None)
        if owner is None:
            weights[name] = value.detach()
    with torch.no_grad():
        for path, layer in layers.items():
            merged: Any = copy.deepcopy(layer)
            merged.merge(safe_merge=True)
            for name, value in merged.get_base_layer().state_dict().items():
                weights[f"{path}.{name}"] = value.detach().cpu()
    return weights


def save_adapter(model: nn.Module, directory: Path, base_name: str) -> None:
    """Writes the LoRA alone, in peft's layout, to `adapter/` of an exported model.

    Args:
        base_name: Of the model that it belongs on.
    """
    folder = directory / ADAPTER_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    found = get_peft_model_state_dict(model, adapter_name=_ADAPTER, save_embedding_layers=False)
    weights = {
        f"base_model.model.{name}": value.detach().cpu().contiguous()
        for name, value in found.items()
    }
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    configs: Any = model.peft_config
    config = copy.copy(configs[_ADAPTER])
    config.base_model_name_or_path = base_name
    config.inference_mode = True
    config.save_pretrained(str(folder))
