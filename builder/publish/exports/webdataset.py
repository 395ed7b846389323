"""Tar files as WebDataset streams them: a JSON file and the images of each sample."""

import io
import tarfile
from pathlib import Path
from typing import Any

import orjson

from builder.publish.exports.target import Exported, Progress, open_source, whole_directory

_TAR_BYTES = 500_000_000
_IMAGE_COLUMNS = {"query_image", "positive_image", "negative_images"}


def export_webdataset(release: Path, target: Path, progress: Progress) -> Exported:
    """Writes `<config>-<split>-000000.tar`, …; a sample's files share its id.

    Args:
        release: Release directory.
        target: New directory.
        progress: Hears of rows written.
    """
    source = open_source(release, progress)
    num_rows, num_tars = 0, 0
    counts: dict[str, int] = {}
    with whole_directory(target) as staging:
        tar: _Tar | None = None
        for entry, record in source.rows():
            name = f"{entry.config}-{entry.split}"
            if tar is None or tar.name != name or tar.num_bytes > _TAR_BYTES:
                if tar is not None:
                    tar.close()
                number = counts.get(name, 0)
                counts[name] = number + 1
                tar = _Tar(name, staging / f"{name}-{number:06d}.tar")
                num_tars += 1
            tar.add(record)
            num_rows += 1
        if tar is not None:
            tar.close()
    how = f'webdataset.WebDataset("{target}/Retrieval-train-{{000000..}}.tar")'
    return Exported(target, num_rows, num_tars, how)


class _Tar:
    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.num_bytes = 0
        self._file = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, record: dict[str, Any]) -> None:
        """The row's JSON, then `<id>.query.png`, `<id>.positive.png`, `<id>.negative_0.png`."""
        texts = {name: value for name, value in record.items() if name not in _IMAGE_COLUMNS}
        self._write(f"{record['id']}.json", orjson.dumps(texts))
        images = [("query", record["query_image"]), ("positive", record["positive_image"])]
        images += [(f"negative_{i}", image) for i, image in enumerate(record["negative_images"])]
        for role, image in images:
            if image is not None:
                extension = Path(image["path"]).suffix
                self._write(f"{record['id']}.{role}{extension}", image["bytes"])

    def close(self) -> None:
        self._file.close()

    def _write(self, name: str, data: bytes) -> None:
        # No clock and no user in the header: the same release gives the same tars.
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._file.addfile(info, io.BytesIO(data))
        self.num_bytes += len(data)
