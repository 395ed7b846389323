import os
import time
from pathlib import Path

import numpy as np
import pytest

from trainer.encoders.feature_cache import FeatureCache

DIM = 1_000


def rows(*keys: str) -> dict[str, np.ndarray]:
    return {key: np.full(DIM, len(key), np.float32) for key in keys}


def age(directory: Path, seconds: float) -> None:
    """Makes everything in the cache look as if it was last used some time ago."""
    for path in directory.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


def test_only_the_features_asked_for_come_back(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.add("tower/α", rows("a", "bb"))
    cache.add("tower/α", rows("ccc"))
    found = cache.read("tower/α", ["ccc", "a", "absent"])
    assert {key: row[0] for key, row in found.items()} == {"ccc": 3, "a": 1}
    assert all(row.base is None for row in found.values()), "no row keeps its chunk in memory"
    assert cache.read("another", ["a"]) == {}


def test_a_broken_file_costs_time_and_nothing_else(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.add("tower", rows("a"))
    next(tmp_path.rglob("*.npz")).write_bytes(b"half a file")
    assert cache.read("tower", ["a"]) == {}
    assert not list(tmp_path.rglob("*.npz"))


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    chunk_bytes = 4 * DIM + 600
    cache = FeatureCache(tmp_path, max_bytes=2 * chunk_bytes)
    cache.add("tower", rows("a"))
    age(tmp_path, 20)
    cache.add("tower", rows("bb"))
    age(tmp_path, 10)
    cache.read("tower", ["a"])
    cache.add("tower", rows("ccc"))
    assert set(cache.read("tower", ["a", "bb", "ccc"])) == {"a", "ccc"}
    assert cache.num_bytes <= cache.max_bytes


def test_what_was_just_computed_is_kept_even_if_it_is_more_than_the_limit(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, max_bytes=1)
    cache.add("tower", rows("a"))
    cache.add("tower", rows("bb"))
    assert set(cache.read("tower", ["a", "bb"])) == {"bb"}


def test_what_a_killed_process_left_unfinished_goes(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.add("tower", rows("a"))
    left = tmp_path / "tower" / f"{0:016x}.part"
    left.write_bytes(b"half")
    cache.add("tower", rows("bb"))
    assert left.exists(), "another process may be writing it"
    age(tmp_path, 10_000)
    cache.add("tower", rows("ccc"))
    assert not left.exists()
    assert len(cache.read("tower", ["a", "bb", "ccc"])) == 3


def test_clearing_removes_the_cache_and_nothing_of_the_users(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "mine")
    cache.add("tower", rows("a"))
    kept = tmp_path / "mine" / "tower" / "thesis.npz"
    kept.write_bytes(b"years of work")
    assert cache.clear() > 4 * DIM
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    kept.unlink()
    assert cache.clear() == 0
    assert not (tmp_path / "mine").exists()
    assert cache.clear() == 0


def test_a_folder_that_cannot_be_made_is_told_on_reading(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        FeatureCache(tmp_path / "file").read("tower", ["a"])
