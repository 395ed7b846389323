"""Embeds items with a model as it is: no gradients, distinct items once."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.data.items import Item
from trainer.encoders.encoder import Encoder, Pictures, Prepared
from trainer.grad_cache import plan_chunks
from trainer.progress import progress_bar

# B items, U distinct items, D embedding

DEFAULT_CHUNK_TOKENS = 8_192
_WINDOW_ITEMS = 1_024


def embed(
    encoder: Encoder,
    items: Sequence[Item],
    pictures: Pictures,
    *,
    max_chunk_tokens: int | None = None,
    progress: str = "items",
) -> NDArray[np.float32]:
    """L2-normalised embeddings of items, in their order.

    Args:
        encoder: Stays as it is; its training mode is put back.
        items: Any number, repeated ones too.
        pictures: Has their images.
        max_chunk_tokens: Tokens embedded at once; padding counts.
        progress: Label of the progress bar.

    Returns:
        Shape (len(items), D).
    """
    distinct = list(dict.fromkeys(items))
    row_of = {item: row for row, item in enumerate(distinct)}
    embedding_UD = np.zeros((len(distinct), encoder.embedding_dim), dtype=np.float32)
    was_training = encoder.training
    encoder.eval()
    try:
        encoder.precompute(distinct, pictures)
        with torch.inference_mode(), progress_bar(progress, len(distinct)) as advance:
            for start in range(0, len(distinct), _WINDOW_ITEMS):
                window = distinct[start : start + _WINDOW_ITEMS]
                prepared = [encoder.prepare(item, pictures) for item in window]
                bound = max_chunk_tokens or DEFAULT_CHUNK_TOKENS
                _embed_window(encoder, prepared, bound, embedding_UD[start:])
                advance(len(window))
    finally:
        encoder.train(was_training)
    return embedding_UD[[row_of[item] for item in items]]


def _embed_window(
    encoder: Encoder,
    prepared: Sequence[Prepared],
    max_chunk_tokens: int,
    embedding_UD: NDArray[np.float32],
) -> None:
    """Embeds these items into the first rows of an array."""
    for chunk in plan_chunks([item.num_tokens for item in prepared], max_chunk_tokens):
        embedding_BD = encoder([prepared[number] for number in chunk])
        embedding_UD[chunk] = embedding_BD.float().cpu().numpy()
