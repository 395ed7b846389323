"""Read the bundled pictograms: their drawings, their words, their groups and their licences."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from sys import intern
from typing import Any, NamedTuple

import pyarrow.parquet as pq

_ASSET = "pictograms.parquet"


@dataclass(frozen=True, slots=True)
class Style:
    """One drawing style and where it comes from.

    Args:
        licence: SPDX identifier; the text lies in `licenses/`.
        source: The npm package and version the drawings were taken from.
        credit: The author to name.
        notice_file: The licence's text in `licenses/`.
    """

    licence: str
    source: str
    credit: str
    notice_file: str


STYLES: dict[str, Style] = {
    "fluent-3d": Style(
        "MIT", "npm:@lobehub/fluent-emoji-3d@1.1.0", "Microsoft", "fluent-emoji-MIT.txt"
    ),
    "noto": Style("Apache-2.0", "npm:@iconify-json/noto@1.2.9", "Google", "noto-Apache-2.0.txt"),
    "flag-icons": Style(
        "MIT", "npm:flag-icons@7.2.3", "Panayiotis Lipiridis", "flag-icons-MIT.txt"
    ),
    "circle-flags": Style(
        "MIT", "npm:@iconify-json/circle-flags@1.2.11", "HatScripts", "circle-flags-MIT.txt"
    ),
}


@dataclass(frozen=True, slots=True)
class Words:
    """A concept's name in one language and, where CLDR has them, its keywords."""

    name: str
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PictogramImage:
    """One drawing of a concept: WebP, 128 x 128 px, RGB on white."""

    style: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Pictogram:
    """One concept with its drawings and its words.

    Args:
        concept: Lower-case code points joined by `-`, without U+FE0F: `1f34e`.
        group: The concept it is a variant of (gender, family, ZWJ sequence); the unit of a split.
        category: Unicode's emoji group, such as `food-drink`.
        subcategory: Unicode's emoji subgroup, such as `food-fruit`.
        images: At least two, each in a different style.
        texts: Language code to words; a language CLDR lacks is absent, never English instead.
    """

    concept: str
    group: str
    category: str
    subcategory: str
    images: tuple[PictogramImage, ...]
    texts: dict[str, Words]


class BundledImage(NamedTuple):
    """One bundled drawing with the facts that an image store needs."""

    content: bytes
    style: str
    concept: str
    group: str
    licence: str
    source: str


@cache
def load_pictograms() -> list[Pictogram]:
    """Reads the bundled corpus, in order of `concept`; the list is shared, so do not change it.

    Takes one to three seconds and about 250 MB the first time, nothing afterwards.
    """
    content = files(__package__ or __name__).joinpath(_ASSET).read_bytes()
    table = pq.read_table(BytesIO(content))
    columns = [table[name].to_pylist() for name in ("concept", "group", "category", "subcategory")]
    texts = _read_texts(table["texts"].combine_chunks())
    images = [
        tuple(PictogramImage(image["style"], image["bytes"]) for image in row)
        for row in table["images"].to_pylist()
    ]
    rows = zip(*columns, images, texts, strict=True)
    return [Pictogram(*row) for row in rows]


def _read_texts(column: Any) -> Iterator[dict[str, Words]]:
    """Yields each concept's words; flat columns, as a dict for each of a million words is slow."""
    entries = column.values
    languages = entries.field("language").to_pylist()
    names = entries.field("name").to_pylist()
    lists = entries.field("keywords")
    keywords = lists.values.to_pylist()
    keyword_ends = lists.offsets.to_pylist()
    ends = column.offsets.to_pylist()
    for start, end in pairwise(ends):
        yield {
            intern(languages[i]): Words(
                names[i], tuple(keywords[keyword_ends[i] : keyword_ends[i + 1]])
            )
            for i in range(start, end)
        }


@cache
def _texts_by_concept() -> dict[str, dict[str, Words]]:
    return {pictogram.concept: pictogram.texts for pictogram in load_pictograms()}


def languages_of(concept: str) -> frozenset[str]:
    """Languages in which a concept has a name.

    Raises:
        ValueError: If the corpus has no such concept.
    """
    texts = _texts_by_concept().get(concept)
    if texts is None:
        raise ValueError(
            f"the pictogram corpus has no concept {concept!r}; "
            "concepts are lower-case code points joined by '-', without fe0f"
        )
    return frozenset(texts)


def notice(name: str) -> str:
    """Text of a file in `licenses/`: the copyright notice that goes with every copy."""
    return files(__package__ or __name__).joinpath("licenses", name).read_text("utf-8")


def bundled_images() -> Iterator[BundledImage]:
    """Yields every bundled drawing, concept by concept, styles in a fixed order."""
    for pictogram in load_pictograms():
        for image in pictogram.images:
            style = STYLES[image.style]
            yield BundledImage(
                content=image.content,
                style=image.style,
                concept=pictogram.concept,
                group=pictogram.group,
                licence=style.licence,
                source=f"{style.source}#{pictogram.concept}",
            )
