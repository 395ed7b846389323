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
) -> Vectors:
    """Embeds every item once."""
    distinct = [*dict.fromkeys(items)]
    values_ND = embed(encoder, distinct, pictures, max_chunk_tokens=max_chunk_tokens)
    return Vectors(values_ND, {item: row for row, item in enumerate(distinct)})
