"""Several processes as one trainer: each embeds its part of a batch, all see every embedding."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Item = TypeVar("Item")

# I items of this rank, A items of all ranks, D embedding


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of one run; alone unless `torchrun` started it.

    Args:
        rank: From 0; rank 0 writes files and messages.
        world_size: Processes of the run.
        device: Where this one computes.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """The items that this rank embeds: every `world_size`-th."""
        return list(items[self.rank :: self.world_size])

    def gather(self, embedding_ID: Tensor, num_items: int) -> Tensor:
        """Embeddings of all ranks in the order of the items that `share` dealt out.

        Gradients flow into this rank's embeddings alone: with the whole loss
        computed on every rank, that is all of the gradient they have.

        Args:
            embedding_ID: Of this rank's items, shape (I, D).
            num_items: Items of all ranks, A.

        Returns:
            Shape (A, D).
        """
        if self.world_size == 1:
            return embedding_ID
        longest = -(-num_items // self.world_size)
        padded = embedding_ID.detach().new_zeros((longest, embedding_ID.shape[1]))
        padded[: len(embedding_ID)] = embedding_ID.detach()
        parts = [torch.empty_like(padded) for _ in range(self.world_size)]
        dist.all_gather(parts, padded)
        own = torch.cat([embedding_ID, padded[len(embedding_ID) :]])
        parts[self.rank] = own
        return torch.stack(parts, dim=1).flatten(0, 1)[:num_items]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Adds up what every rank's items contributed."""
        if self.world_size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:  # none of this rank's items came by it
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)

    def wait(self) -> None:
        """Waits until every rank has come this far."""
        if self.world_size > 1:
            dist.barrier()


def default_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Joins the ranks that `torchrun` started, for the block; without it, one process alone."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield Ranks(device=default_device())
        return
    rank, local_rank = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Ranks(rank, world_size, device)
    finally:
        dist.destroy_process_group()
