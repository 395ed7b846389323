"""Selects the rows to train on by language, cell and number; explains an empty result."""

from collections.abc import Iterable, Sequence

import numpy as np

from schemas.vocabulary import CELLS
from trainer.data.items import Row
from trainer.errors import NoRowsError


def known_cell_names() -> set[str]:
    """What `cells` may name: task types, modality combinations, and the ten cells."""
    return {
        name
        for cell in CELLS
        for name in (cell.task_type, cell.modality, f"{cell.task_type} {cell.modality}")
    }


def is_in_cells(row: Row, cells: Iterable[str]) -> bool:
    """Whether a row's task type, modality combination or cell is named."""
    return not {row.task_type, row.modality, row.cell}.isdisjoint(cells)


def select_rows(
    rows: Sequence[Row],
    *,
    languages: Sequence[str] | None,
    cells: Sequence[str] | None,
    max_rows: int | None,
    seed: int,
    dataset: str,
) -> list[Row]:
    """Rows of these languages and cells, in published order; a seeded sample where too many.

    Raises:
        NoRowsError: None is left.
    """
    spoken = None if languages is None else set(languages)
    chosen = [
        row
        for row in rows
        if (spoken is None or row.language in spoken) and (cells is None or is_in_cells(row, cells))
    ]
    if not chosen:
        raise NoRowsError(
            dataset,
            "train",
            languages=languages,
            cells=cells,
            available_languages=sorted({row.language for row in rows}),
            available_cells=sorted({row.cell for row in rows}),
        )
    if max_rows is not None and max_rows < len(chosen):
        generator = np.random.default_rng([seed, max_rows])
        kept = np.sort(generator.choice(len(chosen), max_rows, replace=False))
        chosen = [chosen[number] for number in kept]
    return chosen
