"""Loops that are written out: the bare model, and one as VLM2Vec and mmE5 have it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoModelForImageTextToText

from benchmarks.training_library import TEMPERATURE, Arm, Library, Model, add_lora
from trainer.portable.vision_language import PreparedItem

# B pairs, N candidates, I items, L tokens, D embedding


class BareModel(Library):
    """The least there is to do: each column once through transformers and peft, one loss.

    The floor that others are measured against, and the reference of their gradients.
    """

    name = "bare model"

    def __init__(self, model: Model, *, dora: bool = False) -> None:
        network = AutoModel.from_pretrained(model.directory, dtype=model.dtype)
        network.config.use_cache = False
        add_lora(network, model.shape.language_model, dora=dora)
        super().__init__(model, network, has_dora=dora)
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
        add_lora(network, f"model.{model.shape.language_model}", dora=dora)
        super().__init__(model, network, has_dora=dora)
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
        kind = "DoRA" if self.has_dora else "LoRA"
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


def _slices(items: Sequence[PreparedItem], size: int) -> Iterator[Sequence[PreparedItem]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
