"""Which rows a model takes for mistakes, and in what order they are best looked at."""

import numpy as np

from curation_app.data.version import VersionDataset
from schemas.row_scores import read_review_ranks


class Suspects:
    """The suspected rows of a version; none where it was not scored.

    Args:
        dataset: The version.

    Raises:
        RowScoresError: Its file of scores is damaged.
    """

    def __init__(self, dataset: VersionDataset) -> None:
        found = map(dataset.row_of, read_review_ranks(dataset.directory))
        rows = [row for row in found if row is not None]
        self._suspected = frozenset(rows)
        #: Each row's place when suspects come first, and all others in order of row.
        self.place_N = np.arange(len(dataset), dtype=np.int64) + len(rows)
        self.place_N[rows] = np.arange(len(rows))

    def __len__(self) -> int:
        return len(self._suspected)

    def __contains__(self, row: int) -> bool:
        return row in self._suspected
