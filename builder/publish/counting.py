"""Counts bytes while the official client moves them.

Each kind of transfer shows its progress in another way. Downloads accept a class
of bars from the caller. Plain uploads read a file through its
`CommitOperationAdd.as_file`, which a subclass may replace; it must stay an
addition of a path, since one of an open file would switch Xet off. Xet uploads
read the path themselves and accept nothing from the caller: `create_commit` and
`preupload_lfs_files` have no `tqdm_class` in version 2.4. They report to bars of
the client's public class, `huggingface_hub.utils.tqdm`; so while an upload is
counted here, those bars are invisible and also count.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from huggingface_hub import CommitOperationAdd, constants
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from huggingface_hub.utils import tqdm as ClientBar
from tqdm.std import tqdm

from builder.publish.progress import ByteCount

_counting: ContextVar["_UploadCount | None"] = ContextVar("counting", default=None)


class CountedAddition(CommitOperationAdd):
    """A file to upload that counts what a plain upload reads of it.

    A file sent again after a failure is counted once.

    Args:
        path_in_repo: Its path in the repository.
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
            on_read = self._count_up_to if with_tqdm else lambda position: None
            with _CountedFile(raw, on_read) as file:
                yield file

    def _count_up_to(self, position: int) -> None:
        if position > self._num_read:
            self._count.add(position - self._num_read)
            self._num_read = position


class _CountedFile(io.BufferedReader):
    def __init__(self, raw: io.FileIO, on_read: Callable[[int], None]) -> None:
        super().__init__(raw)
        self._on_read = on_read

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._on_read(self.tell())
        return content


@contextmanager
def count_xet_uploads(count: ByteCount) -> Iterator[None]:
    """Counts what Xet uploads of this thread move while the block runs.

    With HF_HUB_DISABLE_PROGRESS_BARS=1 the client makes no bars, so nothing is
    counted until a batch of files is done.
    """
    if constants.HF_HUB_DISABLE_PROGRESS_BARS:
        yield
        return
    _connect_client_bars()
    token = _counting.set(_UploadCount(count))
    try:
        with _made_bars:
            yield
    finally:
        _counting.reset(token)


class _MadeBars:
    """Has the client make its bars, even where they are turned off, but keeps them invisible.

    The setting is the process's, so uploads of several threads share it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._num_uploads = 0
        self._were_disabled = False

    def __enter__(self) -> None:
        with self._lock:
            if self._num_uploads == 0:
                self._were_disabled = are_progress_bars_disabled()
                enable_progress_bars()
            self._num_uploads += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._num_uploads -= 1
            if self._num_uploads == 0 and self._were_disabled:
                disable_progress_bars()

    @property
    def are_hidden(self) -> bool:
        return self._num_uploads > 0


_made_bars = _MadeBars()


class _UploadCount:
    """The bytes of one upload, which several bars report at once.

    One bar counts what was read and another what was sent, of the same bytes:
    the one that is further ahead decides.
    """

    def __init__(self, count: ByteCount) -> None:
        self._count = count
        self._num_counted = 0

    def reach(self, num_bytes: int) -> None:
        if num_bytes > self._num_counted:
            self._count.add(num_bytes - self._num_counted)
            self._num_counted = num_bytes


@cache
def _connect_client_bars() -> None:
    """Has each bar made during a counted upload report to it; other bars stay as they are."""
    make, update = ClientBar.__init__, ClientBar.update

    def make_connected(self: Any, *args: Any, **options: Any) -> None:
        upload = _counting.get()
        self.num_bytes = 0
        self.upload = upload if options.get("unit") == "B" else None
        # The client makes bars of single files in a thread of its own, so not in the upload's
        # context; what they show, the bars of the whole upload count.
        if _made_bars.are_hidden:
            options["disable"] = True
        make(self, *args, **options)

    def update_connected(self: Any, n: float | None = 1) -> bool | None:
        upload: _UploadCount | None = getattr(self, "upload", None)
        if upload is not None:
            self.num_bytes += int(n or 0)
            upload.reach(self.num_bytes)
        return update(self, n)

    ClientBar.__init__ = make_connected
    ClientBar.update = update_connected


def counting_bars(count: ByteCount) -> type[tqdm]:
    """A class of bars for the client's downloads that count and show nothing.

    The client makes one of files, and one or two that both count the same bytes.
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
