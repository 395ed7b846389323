"""How much is embedded at once: the whole batch where it fits, else the largest part that does."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainer.encoders.encoder import Prepared
from trainer.errors import OutOfMemoryError
from trainer.grad_cache import plan_chunks

_LOG = logging.getLogger(__name__)

#: Messages of allocators for which torch has no error class.
_MEMORY_WORDS = ("not enough memory", "can't allocate memory", "out of memory")


class Chunking:
    """Finds and remembers the number of tokens that can be embedded at once.

    The whole batch is tried first; each time it does not fit, the bound becomes
    half of what was kept at once, down to the longest item alone, and the step
    is taken again with the same random state.

    Args:
        max_chunk_tokens: Starting bound; None for the whole batch.
        world_size: With several ranks a step cannot be taken again by one alone.
    """

    def __init__(self, max_chunk_tokens: int | None, world_size: int = 1) -> None:
        self.max_chunk_tokens = max_chunk_tokens
        self._world_size = world_size

    def run(
        self,
        items: Sequence[Prepared],
        step: Callable[[int | None], Tensor],
        *,
        on_retry: Callable[[], None],
    ) -> Tensor:
        """Takes one step within memory.

        Args:
            items: What the step embeds.
            step: Computes loss and gradients with this bound.
            on_retry: Called before a step is taken again; drops its gradients.

        Raises:
            OutOfMemoryError: One item alone does not fit, or a rank among several ran out.
        """
        while True:
            random_state = torch.get_rng_state()
            try:
                return step(self.max_chunk_tokens)
            except (RuntimeError, MemoryError) as exc:
                if not _is_out_of_memory(exc):
                    raise
                problem = exc
            # Outside `except`: the traceback would keep the step's tensors alive.
            longest = max(item.num_tokens for item in items)
            tried = _tokens_at_once(items, self.max_chunk_tokens)
            bound = max(tried // 2, longest)
            if bound >= tried:
                raise OutOfMemoryError(
                    f"one item of {longest} tokens does not fit ({_first_line(problem)})",
                    "Lower --max-tokens or --max-image-pixels, or take a smaller model.",
                )
            if self._world_size > 1:
                raise OutOfMemoryError(
                    f"{tried:,} tokens of a rank's part of the batch do not fit",
                    f"Run again with --max-chunk-tokens {bound}.",
                )
            del problem
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            on_retry()
            torch.set_rng_state(random_state)
            self.max_chunk_tokens = bound
            _LOG.info("the batch does not fit into memory: chunks of %d tokens (GradCache)", bound)


def _tokens_at_once(items: Sequence[Prepared], max_chunk_tokens: int | None) -> int:
    """Tokens that a step keeps, padding included: all chunks of a batch that is not bounded."""
    lengths = [item.num_tokens for item in items]
    tokens = [
        len(chunk) * max(lengths[number] for number in chunk)
        for chunk in plan_chunks(lengths, max_chunk_tokens)
    ]
    return sum(tokens) if max_chunk_tokens is None else min(sum(tokens), max_chunk_tokens)


def _is_out_of_memory(exc: BaseException) -> bool:
    if isinstance(exc, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(word in str(exc).lower() for word in _MEMORY_WORDS)


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:120]
