"""Backward through a batch larger than memory: exact gradients, chunk by chunk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.encoders.encoder import Encoder, Prepared

# I items, D embedding

#: From all embeddings, shape (I, D), to the loss.
LossOf = Callable[[Tensor], Tensor]

#: Cost of one more pass of a model, in tokens of padding.
TOKENS_PER_PASS = 256
_MAX_LENGTHS = 64


@dataclass(frozen=True, slots=True)
class _RandomState:
    """Random states of the CPU and of one accelerator, for a second pass with the same dropout."""

    cpu: Tensor
    device: torch.device
    accelerator: Tensor | None

    @classmethod
    def of(cls, device: torch.device) -> "_RandomState":
        on_cuda = device.type == "cuda"
        accelerator = torch.cuda.get_rng_state(device) if on_cuda else None
        return cls(torch.get_rng_state(), device, accelerator)

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.cuda.set_rng_state(self.accelerator, self.device)


def plan_chunks(
    lengths: Sequence[int],
    max_chunk_tokens: int | None,
    tokens_per_pass: int = TOKENS_PER_PASS,
) -> list[list[int]]:
    """Item numbers by chunk, shortest items first.

    Items are grouped by length first, as short texts beside long ones would be
    mostly padding; then groups are cut to the bound.

    Args:
        lengths: Tokens of each item.
        max_chunk_tokens: Items x longest in a chunk; one item alone may exceed it. None
            sets no bound.
        tokens_per_pass: A group is split where that saves more padding than this.
    """
    order = sorted(range(len(lengths)), key=lambda number: lengths[number])
    group_starts = _group_starts([lengths[number] for number in order], tokens_per_pass)
    chunks: list[list[int]] = []
    for place, number in enumerate(order):  # lengths rise, so the newest is the longest
        is_full = (
            max_chunk_tokens is not None
            and place > 0
            and (len(chunks[-1]) + 1) * lengths[number] > max_chunk_tokens
        )
        if place in group_starts or is_full:
            chunks.append([number])
        else:
            chunks[-1].append(number)
    return chunks


def _group_starts(rising: Sequence[int], tokens_per_pass: int) -> set[int]:
    """Starts of the groups, of rising lengths, that cost least.

    A group costs its items times its longest, and `tokens_per_pass`. Dynamic
    programming over the places where a group may end; there are at most
    `_MAX_LENGTHS` of them, between lengths that differ enough.
    """
    if not rising:
        return set()
    step = max(1, -(-rising[-1] // _MAX_LENGTHS))
    ends = sorted({-(-length // step): place + 1 for place, length in enumerate(rising)}.values())
    cost_and_start = {0: (0, 0)}  # of the first items, by how many they are
    for end in ends:
        cost_and_start[end] = min(
            (cost + (end - start) * rising[end - 1] + tokens_per_pass, start)
            for start, (cost, _) in cost_and_start.items()
        )
    starts: set[int] = set()
    end = len(rising)
    while end:
        end = cost_and_start[end][1]
        starts.add(end)
    return starts


def backward(
    encoder: Encoder, items: Sequence[Prepared], loss_of: LossOf, max_chunk_tokens: int | None
) -> Tensor:
    """Adds the gradients of a loss over embeddings of all items; returns the loss.

    The loss is differentiated with respect to the embeddings, and each chunk
    carries its part of that gradient on. As many chunks as the bound has room
    for keep their graph, all of them where the batch fits: then that is a plain
    backward pass. The others are embedded without a graph first, and again,
    with the same dropout, for their part: what a plain pass gives, to rounding.

    Args:
        encoder: Parameters with `requires_grad` receive gradients, as do those in `loss_of`.
        items: Prepared items, shape of the embeddings' first dimension.
        loss_of: Loss of the embeddings, shape (I, D), in the items' order.
        max_chunk_tokens: See `plan_chunks`.

    Source: Gao et al. 2021, arXiv:2101.06983.
    """
    lengths = [item.num_tokens for item in items]
    chunks = plan_chunks(lengths, max_chunk_tokens)
    num_without_graph = _num_without_graph(lengths, chunks, max_chunk_tokens)
    batches: list[list[Any]] = [[items[number] for number in chunk] for chunk in chunks]
    place_I = torch.tensor([number for chunk in chunks for number in chunk]).argsort()
    device = next(encoder.parameters()).device
    states: list[_RandomState] = []
    embedded: list[Tensor] = []
    with encoder.images_once(items):
        with torch.no_grad():
            for batch in batches[:num_without_graph]:
                states.append(_RandomState.of(device))
                embedded.append(encoder(batch))
        with_graph = [encoder(batch) for batch in batches[num_without_graph:]]
        embedded += [embedding.detach() for embedding in with_graph]
        leaves = [embedding.requires_grad_() for embedding in embedded]
        loss = loss_of(torch.cat(leaves)[place_I.to(leaves[0].device)])
        loss.backward()
        _carry_on(with_graph, leaves[num_without_graph:])
        del with_graph
        if num_without_graph:
            after = _RandomState.of(device)
            for batch, state, leaf in zip(batches, states, leaves, strict=False):
                state.restore()
                _carry_on([encoder(batch)], [leaf])
            after.restore()
    return loss.detach()


def _num_without_graph(
    lengths: Sequence[int], chunks: Sequence[Sequence[int]], max_chunk_tokens: int | None
) -> int:
    """How many of the first chunks have no room for their graph beside those of the last ones.

    The last chunk always keeps its graph, so that it is embedded once.
    """
    if max_chunk_tokens is None:
        return 0
    tokens = [len(chunk) * max(lengths[number] for number in chunk) for chunk in chunks]
    first_kept = len(chunks) - 1
    while first_kept > 0 and sum(tokens[first_kept - 1 :]) <= max_chunk_tokens:
        first_kept -= 1
    return first_kept


def _carry_on(embeddings: Sequence[Tensor], leaves: Sequence[Tensor]) -> None:
    """Backward from chunks' embeddings with the gradient that the loss left at their leaves."""
    roots: list[Tensor] = []
    gradients: list[Tensor] = []
    for embedding, leaf in zip(embeddings, leaves, strict=True):
        if embedding.requires_grad and leaf.grad is not None:
            roots.append(embedding)
            gradients.append(leaf.grad)
    if roots:
        torch.autograd.backward(roots, gradients)
