"""Images of an export as files, for trainers that read them by path."""

from pathlib import Path
from typing import Any


class ImageFolder:
    """Images by hash under `images/`, each written once.

    Args:
        directory: The export's, which paths are relative to.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: set[str] = set()

    @property
    def num_files(self) -> int:
        return len(self._written)

    def add(self, image: dict[str, Any] | None) -> str:
        """Relative path of the image, "" where there is none."""
        if image is None:
            return ""
        name = Path(image["path"]).name
        relative = f"images/{name[:2]}/{name}"
        if relative not in self._written:
            path = self._directory / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image["bytes"])
            self._written.add(relative)
        return relative


def query_text(record: dict[str, Any]) -> str:
    """The instruction, then the query's own text on a line of its own, if it has one."""
    return "\n".join(part for part in (record["instruction"], record["query_text"]) if part)


def with_token(text: str | None, image: dict[str, Any] | None) -> str:
    """A text as the trainers of mmE5 and VLM2Vec take it: begun by a mark for its image."""
    return ("<|image_1|>\n" if image else "") + (text or "")
