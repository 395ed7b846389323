"""Each cell's held-out queries over all held-out documents of the kind they look for."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.corpus import Corpus
from trainer.data.items import Item, ItemModality
from trainer.data.known_positives import KnownPositives
from trainer.evaluate.outcomes import Outcomes, join
from trainer.evaluate.ranking import lower_k, lowered_notes, rank_corpus
from trainer.evaluate.vectors import Vectors

# Q queries, N documents

_QUERIES_PER_MASK = 512


@dataclass(frozen=True, slots=True)
class CellQuery:
    """Rows of one cell and language with the same query: one query, several right answers."""

    cell: str
    language: str
    query: Item
    positives: frozenset[Item]
    own_negatives: frozenset[Item]


@dataclass(slots=True)
class CellSuite:
    """Every cell's queries, and the documents they are to find among.

    Args:
        queries: By cell, in published order.
        documents: Distinct positives and hard negatives of the whole split, by modality.
        left_out: Rows with a query or positive that the model does not take, by cell.
        known: Matches that the split states.
        group_of: Group of an image.
    """

    queries: dict[str, list[CellQuery]]
    documents: dict[ItemModality, list[Item]]
    left_out: Counter[str]
    known: KnownPositives
    group_of: Callable[[str], str]

    @property
    def items(self) -> list[Item]:
        """Every query and document once."""
        queries = (query.query for cell in self.queries.values() for query in cell)
        documents = (item for pool in self.documents.values() for item in pool)
        return [*dict.fromkeys([*queries, *documents])]

    @property
    def cells(self) -> list[str]:
        return [*self.queries]


def make_cell_suite(corpus: Corpus, takes: Collection[ItemModality]) -> CellSuite:
    """Queries of every cell that a model takes, and the split's distinct documents."""
    documents: dict[ItemModality, dict[Item, None]] = {}
    positives: dict[tuple[str, str, Item], set[Item]] = {}
    negatives: dict[tuple[str, str, Item], set[Item]] = {}
    left_out: Counter[str] = Counter()
    for row in corpus.rows:
        for item in (row.positive, *row.negatives):
            if item.modality in takes:
                documents.setdefault(item.modality, {})[item] = None
        if row.query.modality not in takes or row.positive.modality not in takes:
            left_out[row.cell] += 1
            continue
        key = (row.cell, row.language, row.query)
        positives.setdefault(key, set()).add(row.positive)
        negatives.setdefault(key, set()).update(row.negatives)
    queries: dict[str, list[CellQuery]] = {}
    for (cell, language, query), found in positives.items():
        own = frozenset(negatives[cell, language, query])
        queries.setdefault(cell, []).append(
            CellQuery(cell, language, query, frozenset(found), own - found)
        )
    return CellSuite(
        dict(sorted(queries.items())),
        {modality: [*pool] for modality, pool in documents.items()},
        left_out,
        KnownPositives(corpus.rows, corpus.group_of),
        corpus.group_of,
    )


def measure_cells(suite: CellSuite, vectors: Vectors, k: int) -> tuple[Outcomes | None, list[str]]:
    """Each cell's queries over all documents of the split with the modality of its positives.

    Right are the positives of the query's rows and, for documents with an
    image, those whose image is of the same group. Other known matches count
    neither way: they may be right in another language or for another
    instruction. So does what repeats a part of the query: its own picture or
    text. A query's own hard negatives always count.
    """
    notes: list[str] = []
    parts: list[Outcomes] = []
    units: dict[str, int] = {}
    for cell, queries in suite.queries.items():
        modality = next(iter(queries[0].positives)).modality
        documents = suite.documents[modality]
        if len(documents) < 2:
            notes.append(f"{cell}: a single document, so nothing to choose among; left out.")
            continue
        right, ignored = _judge(suite, queries, documents)
        ranking = rank_corpus(
            vectors.of(query.query for query in queries), vectors.of(documents), right, ignored
        )
        lowered = lower_k(ranking, k)
        notes += lowered_notes(cell, k, lowered, ranking)
        outcomes = Outcomes(
            ranking,
            np.full(len(ranking), lowered, dtype=np.int64),
            np.array(
                [units.setdefault(_unit(query, suite.group_of), len(units)) for query in queries],
                dtype=np.int64,
            ),
            {
                "language": np.array([query.language for query in queries]),
                "cell": np.full(len(queries), cell),
                "task": np.full(len(queries), cell.split(" ", 1)[0]),
            },
        )
        can_miss_Q = ranking.num_wrong_Q >= lowered
        if not can_miss_Q.all():
            notes.append(
                f"{cell}: {int((~can_miss_Q).sum())} queries with fewer than {lowered} wrong "
                "documents are left out, as they cannot miss."
            )
        if can_miss_Q.any():
            parts.append(outcomes.where(can_miss_Q))
    return (join(parts) if parts else None), notes


def _judge(
    suite: CellSuite, queries: Sequence[CellQuery], documents: Sequence[Item]
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Which documents are right for each query, and which count neither way."""
    place = {item: number for number, item in enumerate(documents)}
    of_group: dict[str, list[int]] = {}
    of_image: dict[str, list[int]] = {}
    of_text: dict[str, list[int]] = {}
    for number, item in enumerate(documents):
        if item.image is not None:
            of_group.setdefault(suite.group_of(item.image), []).append(number)
            of_image.setdefault(item.image, []).append(number)
        elif item.text is not None:
            of_text.setdefault(item.text, []).append(number)
    right: list[NDArray[np.int64]] = []
    ignored: list[NDArray[np.int64]] = []
    for start in range(0, len(queries), _QUERIES_PER_MASK):
        block = queries[start : start + _QUERIES_PER_MASK]
        known_QN = suite.known.mask(
            [query.query for query in block], documents, [{*query.own_negatives} for query in block]
        ).numpy()
        for query, known_N in zip(block, known_QN, strict=True):
            exact = {place[item] for item in query.positives}
            repeated = {*of_image.get(query.query.image or "", ())}
            repeated.update(of_text.get(query.query.text or "", ()))
            mates = {
                number
                for item in query.positives
                if item.image is not None
                for number in of_group[suite.group_of(item.image)]
            }
            counted = {place[item] for item in query.own_negatives}
            right.append(np.array(sorted(exact | (mates - repeated - counted)), dtype=np.int64))
            skipped = {*np.flatnonzero(known_N).tolist()} | repeated
            ignored.append(np.array(sorted(skipped - counted), dtype=np.int64))
    return right, ignored


def _unit(query: CellQuery, group_of: Callable[[str], str]) -> str:
    """What is resampled together: the group of the document's picture, or of the query's."""
    images = sorted(item.image for item in query.positives if item.image is not None)
    image = images[0] if images else query.query.image
    return f"text {query.query.text}" if image is None else f"group {group_of(image)}"
