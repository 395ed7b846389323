"""Corpora of the small release, and a second version of it on disk."""

from pathlib import Path

import pytest

from tests.trainer.releases import CONCEPTS, Record, shape_samples, write_release


@pytest.fixture(scope="session")
def larger_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 0.2.0 of the shapes, split elsewhere: concepts 4 to 8 are held out.

    Of the small release's nine training concepts it holds out four, and it trains on five of the
    six that are held out there.
    """
    rows: dict[str, list[Record]] = {}
    groups: dict[str, str] = {}
    held_out = CONCEPTS[4:8] + CONCEPTS[9:10]
    train = [concept for concept in CONCEPTS if concept not in held_out]
    for split, concepts in (("train", train), ("validation", held_out)):
        for record, owners in shape_samples(concepts, ("en", "de")):
            rows.setdefault(split, []).append(record)
            groups |= owners
    directory = tmp_path_factory.mktemp("larger")
    return write_release(directory, rows, name="shapes", version="0.2.0", groups=groups)
