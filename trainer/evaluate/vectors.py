"""Embeddings of the items of a suite, each embedded once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.items import Item
from trainer.embed import embed
from trainer.encoders.encoder import Encoder, Pictures

# N items, D embedding


@dataclass(slots=True)
class Vectors:
    """Embeddings with the row each item has in them."""

    values_ND: NDArray[np.float32]
    row_of: dict[Item, int]

    def of(self, items: Iterable[Item]) -> NDArray[np.float32]:
        """Embeddings of items, in their order."""
        return self.values_ND[[self.row_of[item] for item in items]]


def embed_once(
    encoder: Encoder,
    items: Iterable[Item],
    pictures: Pictures,
    *,
    max_chunk_tokens: int | None = None,
    known: Vectors | None = None,
) -> Vectors:
    """Embeds every item once.

    Args:
        encoder: Any.
        items: Repeated ones count once.
        pictures: Has their images.
        max_chunk_tokens: See `embed`.
        known: Embeddings by the same weights, which are not computed again.
    """
    distinct = [*dict.fromkeys(items)]
    row_of = {} if known is None else known.row_of
    unknown = [item for item in distinct if item not in row_of]
    fresh_ND = embed(encoder, unknown, pictures, max_chunk_tokens=max_chunk_tokens)
    fresh = Vectors(fresh_ND, {item: row for row, item in enumerate(unknown)})
    if known is None:
        return fresh
    first = len(known.values_ND)
    return Vectors(
        np.concatenate([known.values_ND, fresh_ND]),
        row_of | {item: first + row for item, row in fresh.row_of.items()},
    )
