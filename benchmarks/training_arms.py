"""The two libraries that are compared: this trainer, and sentence-transformers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.training_library import LORA, TEMPERATURE, Arm, Library, Model, lora_config
from benchmarks.training_rows import Rows
from trainer.config import ModelConfig
from trainer.data.batching import make_batch
from trainer.data.known_positives import KnownPositives
from trainer.encoders.lora import linear_layers
from trainer.encoders.vision_language import VisionLanguageEncoder
from trainer.grad_cache import backward
from trainer.loss import matryoshka_loss
from trainer.portable.vision_language import PreparedItem

# Q queries, N candidates, I items, D embedding


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
        self.encoder.add_adapter(lora_config(targets, dora=False))
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
