"""Pairs as tensors, and the seeded batches drawn from them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.item_features import ItemFeatures
from trainer.loss import false_negative_mask
from trainer.pairs import Direction, Pair

# P pairs, B queries, N candidates

#: Query key of a hard negative: it is the positive of no query.
_NO_QUERY = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs of one direction; candidates are all positives, then all hard negatives.

    Args:
        query_B: Feature rows of the queries.
        candidate_N: Feature rows of the candidates, in the other modality.
        masked_BN: True where a candidate is a false negative.
    """

    direction: Direction
    query_B: Tensor
    candidate_N: Tensor
    masked_BN: Tensor


class PairTable:
    """Pairs of one direction, with items and groups as numbers.

    Args:
        pairs: Pairs, all of one direction.
        features: Knows the feature row of every item of the pairs.
        group_of: Group of an image, by sha256.
    """

    def __init__(
        self, pairs: Sequence[Pair], features: ItemFeatures, group_of: Callable[[str], str]
    ) -> None:
        assert len({pair.direction for pair in pairs}) == 1, "pairs of one direction"
        self.direction: Direction = pairs[0].direction
        numbers: dict[tuple[str, str], int] = {}

        def number(kind: str, name: str) -> int:
            return numbers.setdefault((kind, name), len(numbers))

        to_image = self.direction == "text_to_image"
        query_index = features.text_index if to_image else features.image_index
        candidate_index = features.image_index if to_image else features.text_index
        self._query = np.array([query_index[pair.query] for pair in pairs])
        self._positive = np.array([candidate_index[pair.positive] for pair in pairs])
        self.group = np.array([number("group", pair.group) for pair in pairs])
        self._negatives = [[candidate_index[item] for item in pair.negatives] for pair in pairs]
        # The group of a text that is only a hard negative is not known: it is its own.
        self._negative_groups = [
            [
                number("group", group_of(item)) if to_image else number("text", item)
                for item in pair.negatives
            ]
            for pair in pairs
        ]

    def __len__(self) -> int:
        return len(self._query)

    def batch(self, rows: Sequence[int]) -> Batch:
        """The batch of these pairs, in this order."""
        query_B = torch.from_numpy(self._query[rows])
        positive_B = torch.from_numpy(self._positive[rows])
        group_B = torch.from_numpy(self.group[rows])
        negative = torch.tensor([i for row in rows for i in self._negatives[row]]).long()
        negative_group = torch.tensor([g for row in rows for g in self._negative_groups[row]])
        candidate_N = torch.cat([positive_B, negative])
        masked_BN = false_negative_mask(
            [
                (positive_B, candidate_N),
                (group_B, torch.cat([group_B, negative_group.long()])),
                (query_B, torch.cat([query_B, torch.full_like(negative, _NO_QUERY)])),
            ]
        )
        return Batch(self.direction, query_B, candidate_N, masked_BN)


def plan_epoch(
    groups: np.ndarray, batch_size: int, generator: np.random.Generator
) -> list[list[int]]:
    """Every pair once, in batches without two pairs of a group where that can be avoided.

    Only the end of an epoch can hold duplicates. A last batch below half of
    `batch_size` is dropped unless it is the only one.
    """
    waiting = deque(generator.permutation(len(groups)).tolist())
    batches: list[list[int]] = []
    while waiting:
        batch: list[int] = []
        postponed: list[int] = []
        taken: set[int] = set()
        while waiting and len(batch) < batch_size:
            row = waiting.popleft()
            group = int(groups[row])
            (postponed if group in taken else batch).append(row)
            taken.add(group)
        missing = batch_size - len(batch)
        batch += postponed[:missing]
        waiting.extendleft(reversed(postponed[missing:]))
        batches.append(batch)
    if len(batches) > 1 and len(batches[-1]) < batch_size / 2:
        batches.pop()
    return batches


def draw_batches(tables: Sequence[PairTable], batch_size: int, seed: int) -> Iterator[Batch]:
    """Endless batches, each of one direction, directions in proportion to their pairs."""
    generator = np.random.default_rng(seed)
    sizes = np.array([len(table) for table in tables], dtype=float)
    planned: list[list[list[int]]] = [[] for _ in tables]
    while True:
        chosen = int(generator.choice(len(tables), p=sizes / sizes.sum()))
        if not planned[chosen]:
            planned[chosen] = plan_epoch(tables[chosen].group, batch_size, generator)[::-1]
        yield tables[chosen].batch(planned[chosen].pop())
