"""Counts bytes while the official client moves them.

The client tells of them by its own bars alone. Downloads take a class of bars
from the caller. Plain uploads read an addition's file, which can count; it must
stay an addition of a path, for one of an open file would switch Xet off. Xet
uploads read the path themselves and tell a reporter that the client makes, so
that one is put in its place, for as long as somebody listens.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from huggingface_hub import CommitOperationAdd, utils
from huggingface_hub.utils import _xet_progress_reporting
from tqdm.std import tqdm

from builder.publish.progress import ByteCount

_listening: ContextVar[ByteCount | None] = ContextVar("listening", default=None)
_place_lock = Lock()


class CountedAddition(CommitOperationAdd):
    """A file to upload that counts what is read of it for a plain upload.

    A file sent again after a failure is counted once.

    Args:
        path_in_repo: Where it goes.
        path: The file.
        count: Counts its bytes among others'.
    """

    def __init__(self, path_in_repo: str, path: Path, count: ByteCount) -> None:
        super().__init__(path_in_repo, path)
        self._path = path
        self._count = count
        self._num_read = 0

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        """The open file; it counts where the client itself would show a bar."""
        with io.FileIO(self._path) as raw:
            heard = self._has_read if with_tqdm else lambda position: None
            with _CountedFile(raw, heard) as file:
                yield file

    def _has_read(self, position: int) -> None:
        if position > self._num_read:
            self._count.add(position - self._num_read)
            self._num_read = position


class _CountedFile(io.BufferedReader):
    def __init__(self, raw: io.FileIO, heard: Callable[[int], None]) -> None:
        super().__init__(raw)
        self._heard = heard

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._heard(self.tell())
        return content


@contextmanager
def hearing(count: ByteCount) -> Iterator[None]:
    """Counts what Xet uploads of this thread move, while it lasts."""
    _take_the_reporters_place()
    token = _listening.set(count)
    try:
        yield
    finally:
        _listening.reset(token)


class _XetReporter(_xet_progress_reporting.XetUploadProgressReporter):
    """The client's reporter, or a count where somebody listens."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._count = _listening.get()
        self._num_heard = 0
        if self._count is None:
            super().__init__(*args, **options)

    def update_progress(self, group_report: Any, item_reports: dict[Any, Any]) -> None:
        if self._count is None:
            return super().update_progress(group_report, item_reports)
        num_bytes = int(group_report.total_bytes_completed)
        self._count.add(num_bytes - self._num_heard)
        self._num_heard = num_bytes

    def close(self) -> None:
        if self._count is None:
            super().close()


def _take_the_reporters_place() -> None:
    """Once a process: the client looks both names up whenever it uploads."""
    with _place_lock:
        if _xet_progress_reporting.XetUploadProgressReporter is _XetReporter:
            return
        are_disabled = utils.are_progress_bars_disabled

        def nobody_listens(name: str | None = None) -> bool:
            return _listening.get() is None and are_disabled(name)

        _xet_progress_reporting.XetUploadProgressReporter = _XetReporter
        utils.are_progress_bars_disabled = nobody_listens


def counting_bars(count: ByteCount) -> type[tqdm]:
    """A class of bars for the client's downloads that count and show nothing.

    It makes one of files, and one or two that both count the same bytes.
    """

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            self._is_of_bytes = options.get("unit") == "B"
            self._adding = Lock()

        def update(self, n: float | None = 1) -> None:
            with self._adding:
                self.n += n or 0
                if self._is_of_bytes:
                    count.reach(int(self.n))

    return Bar
