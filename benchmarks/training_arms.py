"""The libraries that are compared, each with its own copy of one model and of one LoRA."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoModelForImageTextToText

from benchmarks.training_models import Shape
from benchmarks.training_rows import Rows
from trainer.config import LoraSettings, ModelConfig
from trainer.data.batching import make_batch
from trainer.data.known_positives import KnownPositives
from trainer.encoders.lora import linear_layers
from trainer.encoders.vision_language import VisionLanguageEncoder
from trainer.grad_cache import backward
from trainer.loss import matryoshka_loss
from trainer.portable.vision_language import PreparedItem

# B pairs, N candidates, I items, L tokens, D embedding

TEMPERATURE = 0.02
LORA = LoraSettings(rank=8, alpha=64.0)
_LEARNING_RATE = 1e-5
_LORA_SEED = 7


@dataclass(frozen=True)
class Model:
    """What all libraries load.

    Args:
        directory: As `save_model` wrote it.
        dtype: Of the frozen weights.
        device: Where steps are taken.
    """

    shape: Shape
    directory: Path
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Arm:
    """One library in one setting.

    Args:
        setting: As its users would write it.
        kind: Whether every item is embedded once, or in chunks with a second pass (GradCache).
        backward: Adds the gradients of the batch; returns the loss.
    """

    library: "Library"
    setting: str
    kind: str
    backward: Callable[[], float]


class Library(ABC):
    """A way to train, with its own copy of the model, waiting on the CPU between its turns."""

    name: ClassVar[str]

    def __init__(self, model: Model, network: nn.Module) -> None:
        self.model = model
        self.network = network
        self.lora = _named_lora(network, model.shape.language_model)
        _fill_lora(self.lora)
        self._optimizer: torch.optim.Optimizer | None = None

    @abstractmethod
    def arms(self) -> list[Arm]:
        """Its settings."""

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Within it, the model is where steps are taken."""
        device = self.model.device
        self.network.to(device)
        self.network.train()
        try:
            yield
        finally:
            if device.type != "cpu":
                self.drop_gradients()
                self._optimizer = None
                self.network.to("cpu")
                torch.cuda.empty_cache()

    def step(self, arm: Arm) -> float:
        """One step of training."""
        if self._optimizer is None:
            parameters = list(self.lora.values())
            self._optimizer = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, fused=True)
        loss = arm.backward()
        nn.utils.clip_grad_norm_(self.lora.values(), 1.0)
        self._optimizer.step()
        self.drop_gradients()
        return loss

    def gradients(self, arm: Arm) -> dict[str, Tensor]:
        """Gradients of the LoRA weights, by names that all libraries share."""
        arm.backward()
        found = {
            name: weight.grad.detach().float().cpu()
            for name, weight in self.lora.items()
            if weight.grad is not None
        }
        self.drop_gradients()
        return found

    def drop_gradients(self) -> None:
        for weight in self.network.parameters():
            weight.grad = None


class Ours(Library):
    """This repository's trainer: its encoder, its GradCache, its loss with its masks."""

    name = "polyscene"

    def __init__(self, model: Model, max_tokens: int, chunk_tokens: Sequence[int]) -> None:
        dtype: Any = str(model.dtype).removeprefix("torch.")
        config = ModelConfig(
            name=str(model.directory), lora=LORA, max_tokens=max_tokens, dtype=dtype
        )
        self.encoder = VisionLanguageEncoder.from_pretrained(config)
        super().__init__(model, self.encoder)
        self._chunk_tokens = chunk_tokens
        self._items: list[PreparedItem] = []

    def prepare(self, rows: Rows) -> None:
        """Makes the inputs of a batch: token ids and pixels."""
        known = KnownPositives(rows.rows, lambda image: image)
        batch = make_batch(rows.rows, known, hard_negatives=True, attract_known=False)
        self._items = [self.encoder.prepare(item, rows) for item in batch.items]
        self._num_queries = len(batch.queries)
        self._positive_QN = batch.positive_QN.to(self.model.device)
        self._masked_QN = batch.masked_QN.to(self.model.device)

    @property
    def items(self) -> list[PreparedItem]:
        """Queries, positives, hard negatives."""
        return self._items

    def arms(self) -> list[Arm]:
        plain = Arm(self, "whole batch", "plain", lambda: self._backward(None))
        return [
            plain,
            *(
                Arm(self, f"chunks of {tokens:,} tokens", "cached", self._in_chunks(tokens))
                for tokens in self._chunk_tokens
            ),
        ]

    def _in_chunks(self, tokens: int) -> Callable[[], float]:
        return lambda: self._backward(tokens)

    def _backward(self, max_chunk_tokens: int | None) -> float:
        return backward(self.encoder, self._items, self._loss, max_chunk_tokens).item()

    def _loss(self, embedding_ID: Tensor) -> Tensor:
        return matryoshka_loss(
            embedding_ID[: self._num_queries],
            embedding_ID[self._num_queries :],
            TEMPERATURE,
            self._masked_QN,
            positive_BN=self._positive_QN,
            reverse_weight=0.0,
            dims=(),
        )


class SentenceTransformers(Library):
    """Its losses over its own model and its own collation of each column."""

    name = "sentence-transformers"

    def __init__(
        self, model: Model, mini_batches: Sequence[int], mini_batch_tokens: Sequence[int]
    ) -> None:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import (
            Normalize,
            Pooling,
            Transformer,
        )

        transformer = Transformer(str(model.directory), model_kwargs={"dtype": model.dtype})
        width = transformer.get_embedding_dimension()
        modules = [transformer, Pooling(width, pooling_mode="lasttoken"), Normalize()]
        self.encoder = SentenceTransformer(modules=modules, device="cpu")
        targets = linear_layers(transformer.auto_model, model.shape.language_model)
        self.encoder.add_adapter(_lora_config(targets, dora=False))
        super().__init__(model, self.encoder)
        self._mini_batches = mini_batches
        self._mini_batch_tokens = mini_batch_tokens
        self._columns: list[dict[str, Any]] = []

    def prepare(self, rows: Rows) -> None:
        """Makes the inputs of a batch: token ids and pixels."""
        names = ("query", "positive", "negative")
        self._columns = [self.encoder.preprocess(rows.column(name)) for name in names]

    def token_ids(self) -> list[list[int]]:
        """Queries, positives, hard negatives, without padding."""
        found: list[list[int]] = []
        for column in self._columns:
            for ids, mask in zip(column["input_ids"], column["attention_mask"], strict=True):
                found.append(ids[mask.bool()].tolist())
        return found

    def arms(self) -> list[Arm]:
        from sentence_transformers.sentence_transformer.losses import (
            CachedMultipleNegativesRankingLoss,
            MultipleNegativesRankingLoss,
        )

        scale = 1 / TEMPERATURE
        arms = [self._arm("MNRL", "plain", MultipleNegativesRankingLoss(self.encoder, scale=scale))]
        for size in self._mini_batches:
            loss = CachedMultipleNegativesRankingLoss(
                self.encoder, scale=scale, mini_batch_size=size
            )
            arms.append(self._arm(f"cached, mini_batch_size={size}", "cached", loss))
        for tokens in self._mini_batch_tokens:
            # mini_batch_size then bounds the chunks of the loss alone.
            loss = CachedMultipleNegativesRankingLoss(
                self.encoder, scale=scale, mini_batch_size=1024, mini_batch_num_tokens=tokens
            )
            arms.append(self._arm(f"cached, mini_batch_num_tokens={tokens}", "cached", loss))
        return arms

    def _arm(self, setting: str, kind: str, loss: nn.Module) -> Arm:
        def run() -> float:
            device = self.model.device
            columns = [
                {
                    name: value.to(device) if isinstance(value, Tensor) else value
                    for name, value in column.items()
                }
                for column in self._columns
            ]
            value: Tensor = loss(columns, torch.empty(0))
            value.backward()
            return value.item()

        return Arm(self, setting, kind, run)


class BareModel(Library):
    """The least there is to do: each column once through transformers and peft, one loss.

    The floor that others are measured against, and the reference of their gradients.
    """

    name = "bare model"

    def __init__(self, model: Model, *, dora: bool = False) -> None:
        network = AutoModel.from_pretrained(model.directory, dtype=model.dtype)
        network.config.use_cache = False
        _add_lora(network, model.shape.language_model, dora=dora)
        super().__init__(model, network)
        self._columns: list[dict[str, Tensor]] = []

    def take(self, items: Sequence[PreparedItem]) -> None:
        """Takes the items that `Ours` has prepared."""
        num_pairs = len(items) // 3
        queries, candidates = items[:num_pairs], items[num_pairs:]
        self._columns = [collate(self.network, part) for part in (queries, candidates)]

    def arms(self) -> list[Arm]:
        return [Arm(self, "each column once", "plain", self._backward)]

    def _backward(self) -> float:
        embedded: list[Tensor] = []
        for column in self._columns:
            inputs = {name: value.to(self.model.device) for name, value in column.items()}
            states = self.network(**inputs).last_hidden_state
            embedded.append(last_token(states, inputs["attention_mask"]))
        loss = info_nce(*embedded)
        loss.backward()
        return loss.item()


class Vlm2VecLoop(Library):
    """A loop as VLM2Vec and mmE5 have it, written anew.

    Chunks of a fixed number of items, a language head whose logits are thrown
    away, all hidden states kept, GradCache whose second pass runs the vision
    tower again.

    Source: github.com/TIGER-AI-Lab/VLM2Vec (`src/model/model.py`, `src/grad_cache`).
    """

    name = "VLM2Vec-style loop"
    chunk_size = 8

    def __init__(self, model: Model, *, dora: bool) -> None:
        network = AutoModelForImageTextToText.from_pretrained(model.directory, dtype=model.dtype)
        network.config.use_cache = False
        _add_lora(network, f"model.{model.shape.language_model}", dora=dora)
        super().__init__(model, network)
        self._dora = dora
        self._chunks: list[dict[str, Tensor]] = []
        self._num_queries = 0

    def take(self, items: Sequence[PreparedItem]) -> None:
        """Takes the items that `Ours` has prepared."""
        self._num_queries = len(items) // 3
        self._chunks = [
            collate(self.network, part)
            for side in (items[: self._num_queries], items[self._num_queries :])
            for part in _slices(side, self.chunk_size)
        ]

    def arms(self) -> list[Arm]:
        kind = "DoRA" if self._dora else "LoRA"
        return [Arm(self, f"{kind}, chunks of {self.chunk_size}", "cached", self._backward)]

    def _backward(self) -> float:
        with torch.no_grad():
            leaves = [self._embed(chunk) for chunk in self._chunks]
        for leaf in leaves:
            leaf.requires_grad_()
        embedding_ID = torch.cat(leaves)
        loss = info_nce(embedding_ID[: self._num_queries], embedding_ID[self._num_queries :])
        loss.backward()
        for chunk, leaf in zip(self._chunks, leaves, strict=True):
            assert leaf.grad is not None
            torch.dot(self._embed(chunk).flatten(), leaf.grad.flatten()).backward()
        return loss.item()

    def _embed(self, chunk: Mapping[str, Tensor]) -> Tensor:
        inputs = {name: value.to(self.model.device) for name, value in chunk.items()}
        output = self.network(**inputs, output_hidden_states=True)
        return last_token(output.hidden_states[-1], inputs["attention_mask"])


def collate(network: Any, items: Sequence[PreparedItem]) -> dict[str, Tensor]:
    """Inputs of a model for these items, padded on the right."""
    config = network.config
    ids = [torch.tensor(item.token_ids) for item in items]
    ids_BL = pad_sequence(ids, batch_first=True)
    inputs = {
        "input_ids": ids_BL,
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
    }
    pictures = [item.picture for item in items if item.picture is not None]
    if pictures:
        for name in pictures[0].tensors:
            inputs[name] = torch.cat([picture.tensors[name] for picture in pictures])
    if config.model_type == "qwen2_vl":
        inputs["mm_token_type_ids"] = (ids_BL == config.image_token_id).long()
    return inputs


def last_token(states_BLH: Tensor, mask_BL: Tensor) -> Tensor:
    """Normalised states of the last tokens, shape (B, H), float32."""
    rows_B = torch.arange(len(states_BLH), device=states_BLH.device)
    return normalize(states_BLH[rows_B, mask_BL.sum(1) - 1].float(), dim=-1)


def info_nce(query_BD: Tensor, candidate_ND: Tensor) -> Tensor:
    """Candidate i is the positive of query i."""
    target_B = torch.arange(len(query_BD), device=query_BD.device)
    return cross_entropy(query_BD @ candidate_ND.T / TEMPERATURE, target_B)


def _add_lora(network: nn.Module, language_model: str, *, dora: bool) -> None:
    targets = linear_layers(network, language_model)
    inject_adapter_in_model(_lora_config(targets, dora=dora), network, "default")
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def _lora_config(targets: list[str], *, dora: bool) -> LoraConfig:
    return LoraConfig(
        r=LORA.rank,
        lora_alpha=int(LORA.alpha),
        lora_dropout=0.0,
        use_dora=dora,
        target_modules=targets,
        task_type="FEATURE_EXTRACTION",
    )


def _named_lora(network: nn.Module, language_model: str) -> dict[str, nn.Parameter]:
    """Trained weights, named from the language model on."""
    return {
        name[name.index(f"{language_model}.") :]: weight
        for name, weight in sorted(network.named_parameters())
        if weight.requires_grad
    }


@torch.no_grad()
def _fill_lora(lora: Mapping[str, nn.Parameter]) -> None:
    """The same random weights everywhere; B too, or A would have no gradient."""
    generator = torch.Generator().manual_seed(_LORA_SEED)
    for name in sorted(lora):
        if ".lora_A." in name or ".lora_B." in name:
            weight = lora[name]
            drawn = torch.randn(weight.shape, generator=generator)
            std = weight.shape[1] ** -0.5 if ".lora_A." in name else 0.01
            weight.copy_(drawn * std)


def _slices(items: Sequence[PreparedItem], size: int) -> Iterator[Sequence[PreparedItem]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
