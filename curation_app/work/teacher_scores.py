"""The teacher's scores of every row, as one number that an audit's estimate can lean on."""

from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation_app.data.version import DatasetError, VersionDataset
from schemas.sample import SCORES
from schemas.vocabulary import CONFIG_OF_TASK

_BEST = 5


class TeacherScores:
    """Scores by row number, read once, when first asked for."""

    def __init__(self, dataset: VersionDataset) -> None:
        self._dataset = dataset
        self._lock = Lock()
        self._doubt: np.ndarray | None = None

    def doubt(self) -> np.ndarray:
        """How much the teacher doubts each row: points below the best in all four scores.

        Returns:
            Shape (rows of the version,), 0 for full marks.

        Raises:
            DatasetError: A shard cannot be read.
        """
        with self._lock:
            if self._doubt is None:
                self._doubt = self._read()
            return self._doubt

    def _read(self) -> np.ndarray:
        ids = self._dataset.ids
        doubt = np.zeros(len(ids), dtype=np.float32)
        configs = set(CONFIG_OF_TASK.values())
        for shard in self._dataset.manifest.shards:
            if shard.config not in configs:
                continue
            path = self._dataset.directory / shard.path
            try:
                with pq.ParquetFile(path) as file:
                    table = file.read(["id", *SCORES])
            except (OSError, pa.ArrowException) as exc:
                raise DatasetError(
                    f"{path}: its scores cannot be read. Fetch or release the version again."
                ) from exc
            rows = np.searchsorted(ids, np.asarray(table["id"].to_pylist(), dtype=ids.dtype))
            for name in SCORES:
                score = table[name].to_numpy(zero_copy_only=False).astype(np.float32)
                doubt[rows] += np.nan_to_num(_BEST - score)
        return doubt
