"""`benchmarks.planted_defects` made small: mistakes of every kind are found, sound rows stay."""

from functools import cache

import pytest

from benchmarks.planted_defects import Found, plant_and_check, table
from benchmarks.planted_kinds import KINDS
from benchmarks.planted_rows import sound_rows


@cache
def found() -> Found:
    return plant_and_check(300, seed=7)


def test_sound_rows_are_in_many_languages_and_cells() -> None:
    rows = list(sound_rows(300, 7))
    assert len({row.job.language for row in rows}) >= 60
    assert len({row.job.cell for row in rows}) == 10


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_a_kind_of_mistake_is_found(kind: str) -> None:
    # An instruction may repeat five times by these settings, and here there are fifteen in all.
    least = 0.6 if kind == "one instruction for a language" else 0.8
    assert found().num_planted[kind] == 15
    assert found().recall(kind) >= least, found().missed


def test_mistakes_are_found_and_sound_rows_are_kept() -> None:
    result = found()
    assert len(KINDS) >= 20
    assert result.recall_of_all >= 0.95
    assert result.precision >= 0.95
    assert result.false_alarms <= 0.02, result.dropped_sound
    assert table(result).row_count == len(KINDS) + 4
