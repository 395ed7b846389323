"""Token states to one vector: pooling, and what a model has after it.

The parts are those of sentence-transformers' `modules.json`, written and read
in its layout.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

# B items, L tokens, H hidden, D embedding

PoolingMode = Literal["lasttoken", "mean", "cls", "max"]

_MODULES = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"
_NORMALIZE = "sentence_transformers.base.modules.normalize.Normalize"
_DENSE = "sentence_transformers.base.modules.dense.Dense"
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "Identity": nn.Identity,
    "Tanh": nn.Tanh,
    "ReLU": nn.ReLU,
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
}


def pool(states_BLH: Tensor, mask_BL: Tensor, mode: PoolingMode) -> Tensor:
    """One vector of each item's tokens, shape (B, H), float32 or, of such states, float64.

    Args:
        states_BLH: Last hidden states.
        mask_BL: 1 at tokens, 0 at padding; padding may be on either side.
    """
    states_BLH = states_BLH.to(torch.promote_types(states_BLH.dtype, torch.float32))
    if mode == "mean":
        weight_BL1 = mask_BL.unsqueeze(-1).to(states_BLH)
        return (states_BLH * weight_BL1).sum(1) / weight_BL1.sum(1).clamp(min=1)
    if mode == "max":
        return states_BLH.masked_fill(mask_BL.unsqueeze(-1) == 0, float("-inf")).amax(1)
    first_B = mask_BL.long().argmax(1)
    last_B = mask_BL.shape[1] - 1 - mask_BL.flip(1).long().argmax(1)
    row_B = torch.arange(len(states_BLH), device=states_BLH.device)
    return states_BLH[row_B, last_B if mode == "lasttoken" else first_B]


class Dense(nn.Module):
    """A linear layer and an activation after pooling."""

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool, activation: nn.Module
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation = activation

    def forward(self, vector_BH: Tensor) -> Tensor:
        return self.activation(self.linear(vector_BH))

    def settings(self) -> dict[str, Any]:
        activation = type(self.activation)
        return {
            "in_features": self.linear.in_features,
            "out_features": self.linear.out_features,
            "bias": self.linear.bias is not None,
            "activation_function": f"{activation.__module__}.{activation.__qualname__}",
        }


class EmbeddingHead(nn.Module):
    """Pooling, then dense layers if there are any, then unit length.

    Args:
        hidden_size: Size of a token state.
        mode: How token states become one vector.
        layers: What a model that is already an embedder has after its pooling.
        is_normalised: Whether `modules.json` names a last step to unit length. Embeddings
            are of unit length here in any case.
    """

    def __init__(
        self,
        hidden_size: int,
        mode: PoolingMode,
        layers: Sequence[Dense] = (),
        *,
        is_normalised: bool = True,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.mode: PoolingMode = mode
        self.layers = nn.ModuleList(layers)
        self.is_normalised = is_normalised

    @property
    def embedding_dim(self) -> int:
        return self._dense[-1].linear.out_features if self._dense else self.hidden_size

    @property
    def _dense(self) -> list[Dense]:
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    def forward(self, states_BLH: Tensor, mask_BL: Tensor) -> Tensor:
        """Embeddings of unit length, shape (B, D), float32."""
        vector_BD = pool(states_BLH, mask_BL, self.mode)
        for layer in self._dense:
            vector_BD = layer(vector_BD.to(layer.linear.weight.dtype)).to(vector_BD.dtype)
        return normalize(vector_BD, dim=-1)

    def settings(self) -> dict[str, Any]:
        """What `from_settings` builds it from again, as plain JSON values."""
        return {
            "hidden_size": self.hidden_size,
            "mode": self.mode,
            "layers": [layer.settings() for layer in self._dense],
            "is_normalised": self.is_normalised,
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "EmbeddingHead":
        """A head like the one that gave these settings; its dense layers have random weights."""
        return cls(
            settings["hidden_size"],
            settings["mode"],
            [_dense(layer) for layer in settings["layers"]],
            is_normalised=settings["is_normalised"],
        )

    def save(self, directory: Path, first: Mapping[str, Any]) -> None:
        """Writes `modules.json`, and a folder for each module after the first.

        Args:
            first: Entry of the module that gives token states.
        """
        entries: list[dict[str, Any]] = [dict(first, idx=0, name="0")]
        pooling = {"embedding_dimension": self.hidden_size, "pooling_mode": self.mode}
        _add(directory, entries, "Pooling", _MODULES, {**pooling, "include_prompt": True})
        for layer in self._dense:
            folder = _add(directory, entries, "Dense", _DENSE, layer.settings())
            weights = {
                f"linear.{name}": value.detach().cpu().contiguous()
                for name, value in layer.linear.state_dict().items()
            }
            save_file(weights, folder / "model.safetensors")
        if self.is_normalised:
            _add(directory, entries, "Normalize", _NORMALIZE, {})
        _write(directory / "modules.json", entries)


def read_head(directory: Path, modules: Sequence[Mapping[str, Any]]) -> EmbeddingHead:
    """The head that a model's `modules.json` describes after its first module.

    Raises:
        ValueError: It holds a part that is not known here.
    """
    head: EmbeddingHead | None = None
    layers: list[Dense] = []
    is_normalised = False
    for entry in modules[1:]:
        kind = str(entry["type"]).rsplit(".", 1)[-1]
        folder = inside(directory, str(entry["path"]))
        path = folder / "config.json"
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if kind == "Pooling":
            head = _pooling(settings)
        elif kind == "Dense":
            if settings.get("use_residual"):
                raise ValueError(
                    "its Dense layer is residual (use_residual), which is not known here"
                )
            layer = _dense(settings)
            weights = load_file(folder / "model.safetensors")
            layer.linear.load_state_dict(
                {name.removeprefix("linear."): value for name, value in weights.items()}
            )
            layers.append(layer)
        elif kind == "Normalize":
            is_normalised = True
        else:
            raise ValueError(f"modules.json names {entry['type']}, which is not known here")
    if head is None:
        raise ValueError("modules.json names no Pooling")
    return EmbeddingHead(head.hidden_size, head.mode, layers, is_normalised=is_normalised)


def inside(directory: Path, relative: str) -> Path:
    """A path named in a model's file, which must lie in the model's directory.

    Raises:
        ValueError: It leads elsewhere.
    """
    path = (directory / relative).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise ValueError(f"modules.json names {relative}, which is outside of the model")
    return path


def _pooling(settings: Mapping[str, Any]) -> EmbeddingHead:
    mode = settings.get("pooling_mode")
    if mode is None:  # as older versions write it
        flags = {"cls_token": "cls", "max_tokens": "max", "mean_tokens": "mean"}
        flags["lasttoken"] = "lasttoken"
        chosen = [value for name, value in flags.items() if settings.get(f"pooling_mode_{name}")]
        mode = chosen[0] if len(chosen) == 1 else chosen or "mean"
    if mode not in ("lasttoken", "mean", "cls", "max"):
        raise ValueError(f"its Pooling has the mode {mode}; known are lasttoken, mean, cls, max")
    if not settings.get("include_prompt", True):
        raise ValueError("its Pooling leaves the prompt out (include_prompt false)")
    hidden = settings.get("embedding_dimension") or settings["word_embedding_dimension"]
    return EmbeddingHead(hidden, mode)


def _dense(settings: Mapping[str, Any]) -> Dense:
    return Dense(
        settings["in_features"],
        settings["out_features"],
        bias=settings.get("bias", True),
        activation=_activation(settings.get("activation_function", "Tanh")),
    )


def _activation(path: str | None) -> nn.Module:
    """A module by the last part of its import path; nothing is imported for it."""
    name = "Identity" if path is None else path.rsplit(".", 1)[-1]
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"its Dense layer has the activation {path}; known are {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]()


def _add(
    directory: Path,
    entries: list[dict[str, Any]],
    name: str,
    class_ref: str,
    settings: Mapping[str, Any],
) -> Path:
    folder = directory / f"{len(entries)}_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", settings)
    number = len(entries)
    entries.append({"idx": number, "name": str(number), "path": folder.name, "type": class_ref})
    return folder


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
