"""Reads a tar member by member, and notices where it is cut off or damaged."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import PolysceneError

# `tarfile` does not list these among its public names, but documents them in its code.
_InvalidHeader = tarfile.InvalidHeaderError  # pyright: ignore[reportAttributeAccessIssue]
_EndHeader = tarfile.EOFHeaderError  # pyright: ignore[reportAttributeAccessIssue]
_NoHeader = tarfile.EmptyHeaderError  # pyright: ignore[reportAttributeAccessIssue]
_CutHeader = tarfile.TruncatedHeaderError  # pyright: ignore[reportAttributeAccessIssue]

#: What reading a damaged or hostile tar raises.
DAMAGE = (
    tarfile.TarError,
    *(OSError, EOFError, ValueError, OverflowError, UnicodeError, zlib.error, lzma.LZMAError),
)
#: Longest header of extra attributes or a long name; real ones have some hundred bytes.
_MAX_EXTRA_BYTES = 1_000_000
_MAX_PADDING_BYTES = 64 * 2**20
_EXTRA_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class TarError(PolysceneError):
    """A tar cannot be read to its end."""


class _Tar(tarfile.TarFile):
    """Remembers why it has no further member."""

    ending: tarfile.HeaderError | None = None


class _Member(tarfile.TarInfo):
    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "tarfile.TarInfo":  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as exc:
            assert isinstance(tar, _Tar)
            tar.ending = exc
            raise

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        """Refuses sizes that would make Python's reader loop or fill the memory."""
        if self.size < 0 or (self.type in _EXTRA_TYPES and self.size > _MAX_EXTRA_BYTES):
            raise _InvalidHeader("impossible size")
        return super()._proc_member(tarfile_)  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Opens a tar, compressed or not, for one reading from front to end.

    Raises:
        TarError: In the block or at its end: the tar is damaged, or breaks off.
    """
    try:
        with _Tar.open(path, "r|*", tarinfo=_Member) as tar:
            yield tar
            assert isinstance(tar, _Tar)
            problem = _problem_at_end(tar)
    except DAMAGE as exc:
        raise TarError(f"{path}: it cannot be read to its end ({exc})") from exc
    if problem is not None:
        raise TarError(f"{path}: {problem}{_lost(path, tar)}")


def _lost(path: Path, tar: tarfile.TarFile) -> str:
    """How much of a tar lies behind its last readable header, if that can be said."""
    is_plain = getattr(tar.fileobj, "comptype", None) == "tar"
    num_bytes = path.stat().st_size - tar.offset if is_plain else 0
    return f", {num_bytes:,} bytes behind it are lost" if num_bytes > 0 else ""


def _problem_at_end(tar: _Tar) -> str | None:
    """Why a tar that has no further member did not end as it should.

    Python takes a header that is damaged or cut for the end. At the end are
    two blocks of zeros, and nothing but zeros behind them.
    """
    if isinstance(tar.ending, _EndHeader):
        stream = tar.fileobj
        assert stream is not None
        num_bytes = 0
        while (block := stream.read(64 * 512)) and num_bytes < _MAX_PADDING_BYTES:
            if block.count(0) != len(block):
                return "data follows after its end, or a header was zeroed"
            num_bytes += len(block)
        return None if num_bytes >= 512 else "it breaks off at a header"
    if isinstance(tar.ending, _NoHeader):
        return "it breaks off between two files, without its end"
    if isinstance(tar.ending, _CutHeader):
        return "it breaks off in a header"
    return "a header is damaged" if tar.ending is not None else None
