"""One held-out set for several versions, on which none of them has trained."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from trainer.data.corpus import Corpus
from trainer.data.image_store import ImageStore
from trainer.data.items import Item, Row
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.questions import pairing

#: An image group of one of the versions.
_Node = tuple[int, str]


@dataclass(slots=True)
class SharedSplit:
    """Training rows of every version, and held-out rows that none of them has seen.

    Args:
        train: One corpus per version, without what any version holds out.
        held_out: Rows of all versions' validation splits; its groups hold across versions.
        notes: What was left out, and what the held-out rows are, as sentences.
        num_dropped: Training rows left out because another version holds their picture out,
            by version.
    """

    train: list[Corpus]
    held_out: Corpus
    notes: list[str] = field(default_factory=list)
    num_dropped: dict[str, int] = field(default_factory=dict)


def share_split(train: Sequence[Corpus], validation: Sequence[Corpus], enough: int) -> SharedSplit:
    """Brings several versions to one held-out set.

    A single version keeps its own split. Of several, the concepts that every
    version holds out are taken where these are enough, else all that any holds
    out. Pictures are the same by content and, in versions of one dataset, by
    the name of their group. Training rows about a held-out concept are left
    out of every version, and so are hard negatives that show one; held-out
    texts that a version trains on are not asked.

    Args:
        train: Split "train" of every version.
        validation: Split "validation", in the same order.
        enough: Concepts held out by all that are enough to measure on.

    Raises:
        NothingToMeasureError: Nothing held out is unseen by all versions.
    """
    if len(train) == 1:
        return SharedSplit([train[0]], validation[0])
    concepts = _Concepts(train, validation)
    held_by = [concepts.asked(number, corpus) for number, corpus in enumerate(validation)]
    shared = set.intersection(*held_by)
    notes: list[str] = []
    if len(shared) >= min(enough, min(map(len, held_by)) / 2) and len(shared) > 1:
        chosen = shared
        notes.append(f"held out by every version: {len(shared):,} concepts.")
    else:
        chosen = set.union(*held_by)
        notes.append(
            f"the versions hold out {len(shared):,} concepts in common, too few to measure on: "
            f"all {len(chosen):,} that any of them holds out are taken."
        )
    kept_train: list[Corpus] = []
    num_dropped: dict[str, int] = {}
    for number, corpus in enumerate(train):
        rows = [*_without(corpus.rows, concepts.of_image(number, corpus), chosen)]
        label = corpus.version.label
        num_dropped[label] = len(corpus.rows) - len(rows)
        if num_dropped[label]:
            notes.append(
                f"{label}: {num_dropped[label]:,} of {len(corpus.rows):,} training rows are about "
                "a concept that is held out here and are left out."
            )
        kept_train.append(replace(corpus, rows=rows))
    trained_texts = {
        (row.language, pair[0])
        for corpus in kept_train
        for row in corpus.rows
        if (pair := pairing(row)) is not None
    }
    rows, num_seen = _held_out_rows(validation, concepts, chosen, trained_texts)
    if num_seen:
        notes.append(f"{num_seen:,} held-out texts are not asked: a version trains on them.")
    if not rows:
        raise NothingToMeasureError(
            " and ".join(corpus.version.label for corpus in validation),
            "no held-out row is unseen by all of these versions",
            "Compare versions of one dataset, or ones with other images.",
        )
    held_out = replace(
        validation[0],
        rows=rows,
        images=_all_images(validation),
        groups=concepts.groups(validation),
        skipped=(),
    )
    return SharedSplit(kept_train, held_out, notes, num_dropped)


class _Concepts:
    """Image groups of several versions; groups that share a picture are merged.

    The name of a concept is that of the group in the first version that has it.
    """

    def __init__(self, train: Sequence[Corpus], validation: Sequence[Corpus]) -> None:
        self._parent: dict[_Node, _Node] = {}
        self._corpora = (train, validation)
        first: dict[str, _Node] = {}
        names: dict[tuple[str, str], _Node] = {}
        for corpora in self._corpora:
            for number, corpus in enumerate(corpora):
                dataset = corpus.version.manifest.name
                for image in _images_of(corpus.rows):
                    node = (number, corpus.group_of(image))
                    self._join(node, first.setdefault(image, node))
                    self._join(node, names.setdefault((dataset, node[1]), node))

    def of_image(self, number: int, corpus: Corpus) -> Callable[[str], str]:
        """Concept of an image of a version."""

        def concept_of(image: str) -> str:
            root = self._find((number, corpus.group_of(image)))
            return root[1] if root[0] == 0 else f"{root[1]} (version {root[0] + 1})"

        return concept_of

    def asked(self, number: int, corpus: Corpus) -> set[str]:
        """Concepts that the rows of a split are about."""
        concept_of = self.of_image(number, corpus)
        return {concept_of(image) for row in corpus.rows for image in _subjects(row)}

    def groups(self, corpora: Sequence[Corpus]) -> dict[str, str]:
        """Concept of every image of these corpora."""
        return {
            image: concept_of(image)
            for number, corpus in enumerate(corpora)
            for concept_of in [self.of_image(number, corpus)]
            for image in _images_of(corpus.rows)
        }

    def _find(self, node: _Node) -> _Node:
        root = node
        while (parent := self._parent.setdefault(root, root)) != root:
            root = parent
        while node != root:
            self._parent[node], node = root, self._parent[node]
        return root

    def _join(self, one: _Node, other: _Node) -> None:
        low, high = sorted((self._find(one), self._find(other)))
        self._parent[high] = low


def _without(
    rows: Iterable[Row], concept_of: Callable[[str], str], held: set[str]
) -> Iterator[Row]:
    """Rows that are not about a held-out concept, without hard negatives that show one."""
    for row in rows:
        if not any(concept_of(image) in held for image in _subjects(row)):
            yield _keep_negatives(row, lambda image: concept_of(image) not in held)


def _held_out_rows(
    validation: Sequence[Corpus],
    concepts: _Concepts,
    chosen: set[str],
    trained_texts: set[tuple[str, str]],
) -> tuple[list[Row], int]:
    """Rows about chosen concepts, equal ones once, and how many texts are not asked."""
    rows: dict[tuple[str, str, Item, Item], Row] = {}
    seen: set[tuple[str, str]] = set()
    for number, corpus in enumerate(validation):
        concept_of = concepts.of_image(number, corpus)
        for row in corpus.rows:
            if not all(concept_of(image) in chosen for image in _subjects(row)):
                continue
            pair = pairing(row)
            if pair is not None and (text := (row.language, pair[0])) in trained_texts:
                seen.add(text)
                continue
            kept = _keep_negatives(row, lambda image, of=concept_of: of(image) in chosen)
            rows.setdefault((row.cell, row.language, row.query, row.positive), kept)
    return list(rows.values()), len(seen)


def _keep_negatives(row: Row, is_kept: Callable[[str], bool]) -> Row:
    """The row with those hard negatives whose image passes; ones of text alone stay."""
    kept = tuple(item for item in row.negatives if item.image is None or is_kept(item.image))
    return row if len(kept) == len(row.negatives) else replace(row, negatives=kept)


def _subjects(row: Row) -> list[str]:
    """Images that a row is about: not those of its hard negatives."""
    return [item.image for item in (row.query, row.positive) if item.image is not None]


def _images_of(rows: Iterable[Row]) -> Iterator[str]:
    """sha256 of every image, repeated as often as it occurs."""
    return (item.image for row in rows for item in row.items if item.image is not None)


def _all_images(corpora: Sequence[Corpus]) -> ImageStore:
    """One store with the images of all; the corpora's own if they share one."""
    first = corpora[0].images
    if all(corpus.images is first for corpus in corpora):
        return first
    store = ImageStore()
    for corpus in corpora:
        for image in dict.fromkeys(_images_of(corpus.rows)):
            store.add(corpus.images[image])
    return store
