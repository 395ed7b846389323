"""Computes how many samples each task type, modality combination and language should have."""

# C cells, L languages

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from builder.config import BuildConfig
from schemas.language_shares import named_shares
from schemas.vocabulary import CELLS, LANGUAGES, TASK_TYPES, Cell, Slot


@dataclass(frozen=True)
class Targets:
    """Accepted samples wanted in every cell and language; the total is exact.

    Args:
        cells: The cells with a share, in the order of the vocabulary.
        languages: The languages with a share, in the order of the vocabulary.
        wanted_CL: Samples, shape (C, L).
    """

    cells: tuple[Cell, ...]
    languages: tuple[str, ...]
    wanted_CL: NDArray[np.int64]

    @cached_property
    def by_slot(self) -> dict[Slot, int]:
        """The table as a mapping, including entries of 0."""
        return {
            (cell.task_type, cell.modality, language): int(self.wanted_CL[row, column])
            for row, cell in enumerate(self.cells)
            for column, language in enumerate(self.languages)
        }

    def counts(self, by_slot: Mapping[Slot, int]) -> NDArray[np.int64]:
        """Counts by slot as a table of this shape; slots outside it are ignored."""
        table_CL = np.zeros_like(self.wanted_CL)
        rows = {(cell.task_type, cell.modality): row for row, cell in enumerate(self.cells)}
        columns = {language: column for column, language in enumerate(self.languages)}
        for (task_type, modality, language), count in by_slot.items():
            row, column = rows.get((task_type, modality)), columns.get(language)
            if row is not None and column is not None:
                table_CL[row, column] += count
        return table_CL


def targets_of(config: BuildConfig, base: Mapping[Slot, int] | None = None) -> Targets:
    """The table a configuration asks for.

    Totals of languages, of cells and of task types are each apportioned by
    largest remainder, so every one is within one sample of its share.

    Args:
        config: The build.
        base: Samples by slot that were kept for other targets: as many of them are wanted as
            these totals permit, so that a set which grows by ten needs ten more.
    """
    cells, cell_shares = cell_shares_of(config)
    languages, language_shares = language_shares_of(config)
    tasks = [task for task in TASK_TYPES if any(cell.task_type == task for cell in cells)]
    members = [[cell.task_type == task for cell in cells] for task in tasks]
    empty_CL = np.zeros((len(cells), len(languages)), dtype=np.int64)
    base_CL = Targets(tuple(cells), tuple(languages), empty_CL).counts(base or {})
    base_C = base_CL.sum(axis=1)
    by_task = apportion(
        config.num_samples,
        [cell_shares[rows].sum() for rows in members],
        np.array([base_C[rows].sum() for rows in members]),
    )
    by_cell_C = np.zeros(len(cells), dtype=np.int64)
    for rows, total in zip(members, by_task, strict=True):
        by_cell_C[rows] = apportion(int(total), cell_shares[rows], base_C[rows])
    by_language_L = apportion(config.num_samples, language_shares, base_CL.sum(axis=0))
    wanted_CL = _grown_table(base_CL, by_cell_C, by_language_L)
    return Targets(tuple(cells), tuple(languages), wanted_CL)


def language_shares_of(config: BuildConfig) -> tuple[list[str], list[float]]:
    """Languages with a share above 0, and their shares, which sum to 1."""
    if isinstance(config.languages, str):
        shares = named_shares(config.languages)
    else:
        shares = {code: config.languages.get(code, 0.0) for code in LANGUAGES}
    total = sum(shares.values())
    kept = {code: share / total for code, share in shares.items() if share > 0}
    return list(kept), list(kept.values())


def cell_shares_of(config: BuildConfig) -> tuple[list[Cell], NDArray[np.float64]]:
    """Cells with a share above 0, and their shares, which sum to 1."""
    task_total = sum(config.task_shares.get(task, 0.0) for task in TASK_TYPES)
    cells: list[Cell] = []
    shares: list[float] = []
    for cell in CELLS:
        inside = config.modality_shares.get(cell.task_type) or {
            other.modality: 1.0 for other in CELLS if other.task_type == cell.task_type
        }
        share = config.task_shares.get(cell.task_type, 0.0) / task_total
        share *= inside.get(cell.modality, 0.0) / sum(inside.values())
        if share > 0:
            cells.append(cell)
            shares.append(share)
    return cells, np.array(shares)


def apportion(
    total: int,
    shares: Sequence[float] | NDArray[np.float64],
    base: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Whole numbers that sum to `total` and lie within one of `total` x share.

    By largest remainder; ties go to the earlier entry. Entries that `base`
    has more of than their share rounded down are rounded up before others.
    """
    exact = total * np.asarray(shares, dtype=np.float64) / np.sum(shares)
    # 0.29 x 100 is 28.999… in floating point, but 29 is meant.
    floors = np.floor(exact + 1e-9)
    left = total - int(floors.sum())
    is_there = np.zeros(len(floors), dtype=np.bool_) if base is None else base > floors
    order = np.lexsort((-(exact - floors), ~is_there))
    counts = floors.astype(np.int64)
    counts[order[:left]] += 1
    return counts


def _grown_table(
    base_CL: NDArray[np.int64], rows_C: NDArray[np.int64], columns_L: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A table with these sums that holds as much of `base_CL` as they permit.

    Where they do not permit all of it, what the plain table wants stays first.
    """
    plain_CL = fill_table(rows_C, columns_L)
    grown_CL = np.minimum(base_CL, plain_CL)
    extra_CL = base_CL - grown_CL
    left_C, left_L = rows_C - grown_CL.sum(axis=1), columns_L - grown_CL.sum(axis=0)
    for table, limits in ((extra_CL, left_C), (extra_CL.T, left_L)):
        for number in np.flatnonzero(table.sum(axis=1) > limits):
            table[number] = apportion(int(limits[number]), table[number].astype(np.float64))
    left_C, left_L = left_C - extra_CL.sum(axis=1), left_L - extra_CL.sum(axis=0)
    return grown_CL + extra_CL + fill_table(left_C, left_L)


def fill_table(rows_C: NDArray[np.int64], columns_L: NDArray[np.int64]) -> NDArray[np.int64]:
    """A table of whole numbers near the product of its margins, both margins exact.

    Args:
        rows_C: Sums of the rows.
        columns_L: Sums of the columns; the same total.
    """
    total = int(rows_C.sum())
    exact_CL = np.outer(rows_C, columns_L) / max(1, total)
    table_CL = np.floor(exact_CL).astype(np.int64)
    for column in range(len(columns_L)):
        left = int(columns_L[column] - table_CL[:, column].sum())
        # Rows that lack most over the columns so far go first.
        behind_C = (exact_CL - table_CL)[:, : column + 1].sum(axis=1)
        behind_C += 1e-6 * (exact_CL - np.floor(exact_CL))[:, column]
        table_CL[np.argsort(-behind_C, kind="stable")[:left], column] += 1
    _fix_row_sums(table_CL, rows_C)
    return table_CL


def _fix_row_sums(table_CL: NDArray[np.int64], rows_C: NDArray[np.int64]) -> None:
    """Moves single samples between rows, in the largest columns, until the row sums are exact."""
    while True:
        gap_C = rows_C - table_CL.sum(axis=1)
        if not gap_C.any():
            return
        short, over = int(gap_C.argmax()), int(gap_C.argmin())
        column = int(table_CL[over].argmax())
        table_CL[over, column] -= 1
        table_CL[short, column] += 1
