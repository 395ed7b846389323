"""Small releases on disk that the trainer's tests share; nothing may write to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.releases import (
    COLOURS,
    SHAPES,
    Concept,
    Record,
    bare_record,
    draw,
    stored,
    write_release,
    write_shapes,
)
from trainer.data.corpus import Corpus, load_corpus


@pytest.fixture(scope="session")
def small_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of coloured shapes: all ten cells, four languages, ragged hard negatives.

    9 training concepts in 360 rows, 6 held-out ones in 240; see `releases.write_shapes`.
    """
    return write_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def train_corpus(small_release: Path) -> Corpus:
    """The training rows of that release; copy what you change."""
    return load_corpus(str(small_release), "train")


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of text-image pairs: 8 training and 4 held-out concepts, English and German."""
    concepts = [(colour, shape) for colour in list(COLOURS)[:4] for shape in SHAPES]
    rows: dict[str, list[Record]] = {}
    groups: dict[str, str] = {}
    for split, chosen in (("train", concepts[:8]), ("validation", concepts[8:])):
        for record, owners in _pairs(chosen):
            rows.setdefault(split, []).append(record)
            groups |= owners
    directory = tmp_path_factory.mktemp("release")
    return write_release(directory, rows, groups=groups, folder="")


def _pairs(concepts: list[Concept]) -> Iterator[tuple[Record, dict[str, str]]]:
    number = 0
    for index, concept in enumerate(concepts):
        other = concepts[(index + 1) % len(concepts)]
        for language in ("en", "de"):
            for modality, style in (("T->I", "plain"), ("I->T", "tinted")):
                images = (stored(draw(concept, style)), stored(draw(other, style)))
                texts = (_label(concept, language), _label(other, language))
                number += 1
                if modality == "T->I":
                    record = bare_record(
                        number,
                        modality,
                        language=language,
                        query_text=texts[0],
                        positive_image=images[0],
                        negatives=[(None, images[1])],
                    )
                else:
                    record = bare_record(
                        number,
                        modality,
                        language=language,
                        query_image=images[0],
                        positive_text=texts[0],
                        negatives=[(texts[1], None)],
                    )
                shas = [image["path"].split(".")[0] for image in images]
                owners = {shas[0]: " ".join(concept), shas[1]: " ".join(other)}
                yield record, owners


def _label(concept: Concept, language: str) -> str:
    colour, shape = concept
    return f"{colour} {shape}" if language == "en" else f"{COLOURS[colour][1]} {SHAPES[shape][0]}"


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from or left in the user's caches."""
    root = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
