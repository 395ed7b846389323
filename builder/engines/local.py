"""The engine of one machine: threads of this process."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from builder.engines.engine import Engine


class LocalEngine(Engine):
    """Runs chunks in threads; decoders and vision models release Python's lock.

    Args:
        num_workers: Number of threads; of this machine's cores if None.
    """

    name = "local"

    def __init__(self, num_workers: int | None = None) -> None:
        super().__init__()
        self._num_workers = num_workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._num_workers)

    @property
    def num_workers(self) -> int:
        return self._num_workers

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _submit(
        self, function: Callable[[Any, Any], Any], shared: Any, chunk: Any, uses_gpu: bool
    ) -> Future[Any]:
        return self._pool.submit(function, shared, chunk)

    def _result(self, handle: Future[Any]) -> Any:
        return handle.result()
