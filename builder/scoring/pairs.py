"""What a sample pairs: that a text fits a picture."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Pair:
    """A text and the picture it is about.

    Args:
        sample_id: The sample.
        language: Code of its language.
        text: Of the positive, else of the query.
        image: sha256 of the positive's picture, else of the query's.
        group: The picture's group: pictures of one thing.
        negative: Text of the hard negative, where the text is the positive's.
    """

    sample_id: str
    language: str
    text: str
    image: str
    group: str
    negative: str | None = None


def read_pairs(
    rows: Iterable[tuple[bytes, bytes]], group_of: Callable[[str], str]
) -> Iterator[Pair]:
    """Pairs of kept rows (sample, provenance); rows without a text or picture make none."""
    for sample, _ in rows:
        row = orjson.loads(sample)
        text = row["positive_text"] or row["query_text"]
        image = row["positive_image"] or row["query_image"]
        if text is None or image is None:
            continue
        negatives = row["negative_texts"] if row["positive_text"] else ()
        negative = next((text for text in negatives if text), None)
        yield Pair(row["id"], row["language"], text, image, group_of(image), negative)
