"""Rows as training pairs: a query in one modality, its positive and hard negatives in the other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from trainer.corpus import Corpus, Row

Direction = Literal["text_to_image", "image_to_text"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

#: Modality combination -> direction. The image of an `IT` document stands for the whole document.
DIRECTION_OF: dict[str, Direction] = {
    "T->I": "text_to_image",
    "T->IT": "text_to_image",
    "I->T": "image_to_text",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A query with its positive and hard negatives.

    Args:
        direction: Which side is text: a text stands for itself, an image is its sha256.
        language: Language of the text.
        group: Group of the pair's image; equal groups are never each other's negatives.
    """

    direction: Direction
    language: str
    query: str
    positive: str
    negatives: tuple[str, ...]
    group: str


def training_pairs(
    corpus: Corpus, modalities: Iterable[str], languages: Iterable[str] | None
) -> list[Pair]:
    """Pairs of the rows in these modality combinations and languages, in published order."""
    wanted = set(modalities)
    spoken = None if languages is None else set(languages)
    pairs = [
        _pair(row, corpus)
        for row in corpus.rows
        if row.modality in wanted and (spoken is None or row.language in spoken)
    ]
    return [pair for pair in pairs if pair is not None]


def _pair(row: Row, corpus: Corpus) -> Pair | None:
    direction = DIRECTION_OF.get(row.modality)
    if direction == "text_to_image":
        query, positive, negatives = row.query_text, row.positive_image, row.negative_images
        image = positive
    elif direction == "image_to_text":
        query, positive, negatives = row.query_image, row.positive_text, row.negative_texts
        image = query
    else:
        return None
    if query is None or positive is None or image is None:
        return None
    group = corpus.group_of(image)
    return Pair(direction, row.language, query, positive, negatives, group)


def texts_of(pairs: Iterable[Pair]) -> list[str]:
    """Every text of the pairs once, in order of first use."""
    return list(dict.fromkeys(_items(pairs, "text_to_image")))


def images_of(pairs: Iterable[Pair]) -> list[str]:
    """sha256 of every image of the pairs once, in order of first use."""
    return list(dict.fromkeys(_items(pairs, "image_to_text")))


def _items(pairs: Iterable[Pair], query_side: Direction) -> Iterable[str]:
    """Items of one modality: queries of `query_side`, documents of the other direction."""
    for pair in pairs:
        if pair.direction == query_side:
            yield pair.query
        else:
            yield pair.positive
            yield from pair.negatives
