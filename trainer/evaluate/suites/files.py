"""A benchmark's files: a directory or a Hub repository, its Parquet files, its pictures."""

import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import PolysceneError
from trainer.evaluate.suites.image_files import Folder, Place, TarArchive, ZipArchive

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ROWS_PER_BATCH = 256
#: Folders below a benchmark's own in which its pictures are put, by the scripts that measure it.
_FOLDERS = (
    "",
    "images",
    "eval_images",
    "eval_images/images",
    "image-tasks/MMEB",
    "image-tasks",
    "XTD10_dataset",
    "images/XTD10_dataset",
)
_ARCHIVES = ("images.zip", "XTD10_dataset.tar.gz", "image-tasks/mmeb_v1.tar.gz")


class SuiteError(PolysceneError):
    """The files of a benchmark are missing or malformed.

    Args:
        place: Directory, repository or file.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
    """

    def __init__(self, place: str, what: str, remedy: str) -> None:
        self.place = place
        self.what = what
        self.remedy = remedy
        super().__init__(f"{place}: {what}. {remedy}")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Where a benchmark's files are.

    Args:
        directory: Holds them.
        label: OWNER/NAME, or the directory's name; never a path.
        commit: Of the repository.
    """

    directory: Path
    label: str
    commit: str | None = None

    def places(self) -> list[Place]:
        """Where its pictures may be: folders first, then archives.

        Raises:
            SuiteError: An archive cannot be read.
        """
        found: list[Place] = [
            Folder(self.directory / name) for name in _FOLDERS if (self.directory / name).is_dir()
        ]
        for name in _ARCHIVES:
            path = self.directory / name
            if not path.is_file():
                continue
            try:
                is_zip = name.endswith(".zip")
                found.append(ZipArchive(path) if is_zip else TarArchive(path))
            except (zipfile.BadZipFile, tarfile.TarError, OSError) as exc:
                raise SuiteError(
                    self.label, f"{name} cannot be read ({exc})", "Download it again."
                ) from exc
        return found


def open_benchmark(name: str, patterns: Sequence[str]) -> Benchmark:
    """A benchmark's files, downloaded if a Hub repository is named.

    Args:
        name: Directory, or OWNER/NAME of a dataset repository.
        patterns: What is downloaded, such as "*.parquet".

    Raises:
        SuiteError: Neither can be opened.
    """
    directory = Path(name).expanduser()
    if directory.is_dir():
        return Benchmark(directory, directory.resolve().name)
    if not _REPOSITORY.fullmatch(name):
        raise SuiteError(
            name, "no such directory", "Give --data a directory, or OWNER/NAME on the Hub."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.utils import httpx

    try:
        found = Path(snapshot_download(name, repo_type="dataset", allow_patterns=list(patterns)))
    except (HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError, ValueError) as exc:
        raise SuiteError(
            name,
            f"no such directory, and it cannot be downloaded ({type(exc).__name__})",
            "Check the name, HF_ENDPOINT, HF_TOKEN and the network, or download it yourself.",
        ) from exc
    return Benchmark(found, name, found.name if _COMMIT.fullmatch(found.name) else None)


def read_rows(
    path: Path, required: Collection[str], optional: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file, of which only these columns are read.

    Raises:
        SuiteError: It is damaged, or lacks a required column.
    """
    shown = f"{path.parent.name}/{path.name}"
    try:
        with pq.ParquetFile(path) as file:
            has = set(file.schema_arrow.names)
            if missing := sorted(set(required) - has):
                raise SuiteError(
                    shown,
                    f"no column {', '.join(missing)} (it has {', '.join(sorted(has))})",
                    "Name the benchmark's own files.",
                )
            columns = [name for name in (*required, *optional) if name in has]
            for batch in file.iter_batches(_ROWS_PER_BATCH, columns=columns):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as exc:
        what = f"cannot be read as Parquet ({' '.join(str(exc).split())[:200]})"
        raise SuiteError(shown, what, "Download it again.") from exc
