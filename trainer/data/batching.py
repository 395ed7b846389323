"""Seeded batches of rows, and a batch as distinct items with its positives and masks."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.config import Batching
from trainer.data.items import Item, Row
from trainer.data.known_positives import KnownPositives

# Q queries, N candidates

#: A last batch below this share of the batch size is dropped unless it is the only one.
_MIN_LAST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as distinct items: each is embedded once.

    Args:
        queries: Distinct queries, those that only serve as negatives of the positives included.
        candidates: Distinct documents: positives, then hard negatives.
        positive_QN: True where a row of the batch pairs the two.
        masked_QN: True where the dataset knows that the two match.
        num_rows: Rows it was made from.
    """

    queries: list[Item]
    candidates: list[Item]
    positive_QN: Tensor
    masked_QN: Tensor
    num_rows: int

    @property
    def items(self) -> list[Item]:
        """Queries, then candidates."""
        return [*self.queries, *self.candidates]


def make_batch(
    rows: Sequence[Row], known: KnownPositives, *, hard_negatives: bool, attract_known: bool
) -> Batch:
    """The batch of these rows.

    Args:
        rows: Any cells; ragged numbers of hard negatives.
        known: Matches of the whole dataset.
        hard_negatives: False leaves the rows' own hard negatives out.
        attract_known: Known matches in the batch count as positives; otherwise they are ignored.
    """
    queries = dict.fromkeys(row.query for row in rows)
    candidates = dict.fromkeys(row.positive for row in rows)
    if hard_negatives:
        queries |= dict.fromkeys(item for row in rows for item in row.query_negatives)
        candidates |= dict.fromkeys(item for row in rows for item in row.negatives)
    row_of = {item: number for number, item in enumerate(queries)}
    column_of = {item: number for number, item in enumerate(candidates)}
    positive_QN = torch.zeros((len(queries), len(candidates)), dtype=torch.bool)
    own: list[set[Item]] = [set() for _ in queries]
    for row in rows:
        positive_QN[row_of[row.query], column_of[row.positive]] = True
        own[row_of[row.query]].update(row.negatives)
    masked_QN = known.mask(list(queries), list(candidates), own)
    if attract_known:
        positive_QN = positive_QN | masked_QN
    return Batch(list(queries), list(candidates), positive_QN, masked_QN, len(rows))


class BatchSampler:
    """Endless batches of row numbers; an epoch's order depends on seed and epoch alone.

    Args:
        rows: What is drawn from.
        group_of: Group of an image; no batch has two rows of a group where that can be
            avoided, but for "concept".
        batching: "cell": every batch of one cell, cells in proportion to their rows.
            "mixed": any cells. "concept": `batch_size / texts_per_concept` groups with
            several rows each, in different languages if there are enough.
        batch_size: Rows in a batch; fewer where there are not as many.
        texts_per_concept: For "concept".
        seed: Same seed, same batches.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        group_of: Callable[[str], str],
        *,
        batching: Batching,
        batch_size: int,
        texts_per_concept: int = 4,
        seed: int = 0,
    ) -> None:
        assert rows, "nothing to draw from"
        self._rows = rows
        self._batching: Batching = batching
        self._batch_size = batch_size
        self._texts_per_concept = max(1, min(texts_per_concept, batch_size // 2))
        self._seed = seed
        groups: dict[str, int] = {}
        documents: dict[Item, int] = {}
        self._group = np.array(
            [groups.setdefault(_concept(row, group_of), len(groups)) for row in rows]
        )
        self._document = np.array(
            [documents.setdefault(row.positive, len(documents)) for row in rows]
        )
        cells: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            cells[row.cell if batching == "cell" else ""].append(number)
        self._pools = [np.array(cells[cell]) for cell in sorted(cells)]
        self._epoch = 0
        self._position = 0
        self._plan = self._plan_epoch(0)

    @property
    def batches_per_epoch(self) -> int:
        """Of the first epoch; later ones differ by a few."""
        return len(self._plan if self._epoch == 0 else self._plan_epoch(0))

    def draw(self) -> list[int]:
        """Row numbers of the next batch."""
        if self._position == len(self._plan):
            self._epoch += 1
            self._position = 0
            self._plan = self._plan_epoch(self._epoch)
        self._position += 1
        return self._plan[self._position - 1]

    def state_dict(self) -> dict[str, Any]:
        """Its position, for a checkpoint."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from the position of another sampler with the same arguments."""
        if state["epoch"] != self._epoch:
            self._plan = self._plan_epoch(state["epoch"])
        self._epoch, self._position = state["epoch"], state["position"]

    def _plan_epoch(self, epoch: int) -> list[list[int]]:
        generator = np.random.default_rng([self._seed, epoch])
        batches: list[list[int]] = []
        for pool in self._pools:
            if self._batching == "concept":
                batches += self._plan_concepts(pool, generator)
            else:
                order = generator.permutation(pool).tolist()
                batches += fill_batches(order, self._keys, self._batch_size)
        return [batches[number] for number in generator.permutation(len(batches))]

    def _keys(self, row: int) -> tuple[tuple[str, int], ...]:
        return (("group", int(self._group[row])), ("document", int(self._document[row])))

    def _plan_concepts(self, pool: np.ndarray, generator: np.random.Generator) -> list[list[int]]:
        """Each concept's rows in small groups of different languages, and those in batches."""
        by_concept: dict[int, list[int]] = defaultdict(list)
        for row in generator.permutation(pool).tolist():
            by_concept[int(self._group[row])].append(row)
        handfuls = [handful for rows in by_concept.values() for handful in self._deal(rows)]
        order = generator.permutation(len(handfuls)).tolist()
        num_concepts = self._batch_size // self._texts_per_concept
        batches = fill_batches(
            order, lambda number: (("group", int(self._group[handfuls[number][0]])),), num_concepts
        )
        return [[row for number in batch for row in handfuls[number]] for batch in batches]

    def _deal(self, rows: Iterable[int]) -> list[list[int]]:
        """Groups of `texts_per_concept` rows, no language twice while another is left."""
        by_language: dict[str, deque[int]] = defaultdict(deque)
        for row in rows:
            by_language[self._rows[row].language].append(row)
        handfuls: list[list[int]] = []
        handful: list[int] = []
        while by_language:
            # The languages with most rows left come first, so that they do not stay alone.
            for language in sorted(by_language, key=lambda code: -len(by_language[code])):
                handful.append(by_language[language].popleft())
                if not by_language[language]:
                    del by_language[language]
                if len(handful) == self._texts_per_concept:
                    handfuls.append(handful)
                    handful = []
        return [*handfuls, handful] if handful else handfuls


def _concept(row: Row, group_of: Callable[[str], str]) -> str:
    """Group of the row's picture: the document's where both sides have one."""
    image = row.positive.image or row.query.image
    return f"row {row.id}" if image is None else group_of(image)


def fill_batches(
    order: Sequence[int],
    keys_of: Callable[[int], Sequence[tuple[str, int]]],
    batch_size: int,
) -> list[list[int]]:
    """Every member once, in batches without equal keys as far as possible.

    Only the end of an epoch can hold duplicates. A last batch below half of
    `batch_size` is dropped unless it is the only one.
    """
    waiting = deque(order)
    batches: list[list[int]] = []
    while waiting:
        batch: list[int] = []
        postponed: list[int] = []
        taken: set[tuple[str, int]] = set()
        # Looking through all that wait for one that fits would take quadratic time where one key
        # is everywhere.
        while waiting and len(batch) < batch_size and len(postponed) < 8 * batch_size:
            member = waiting.popleft()
            keys = keys_of(member)
            if taken.isdisjoint(keys):
                batch.append(member)
                taken.update(keys)
            else:
                postponed.append(member)
        missing = batch_size - len(batch)
        batch += postponed[:missing]
        waiting.extendleft(reversed(postponed[missing:]))
        batches.append(batch)
    if len(batches) > 1 and len(batches[-1]) < batch_size * _MIN_LAST_SHARE:
        batches.pop()
    return batches
