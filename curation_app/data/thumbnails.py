"""Thumbnails: published images made small and safe to show, whatever bytes they are."""

import hashlib
import io
from contextlib import suppress
from threading import Lock

from cachetools import LRUCache

from curation_app.data.version import Row
from schemas.errors import PolysceneError
from schemas.pictures import PictureError, read_picture
from schemas.sample import Sample

MAX_SIDE_PX = 1_280
#: Of an image shown at its original size; beyond, it is made smaller all the same.
MAX_FULL_SIDE_PX = 8_192


class ImageProblem(PolysceneError):
    """An image that cannot be shown; its message says why, for the reviewer."""


class Thumbnails:
    """WebP thumbnails by the sha256 of the original bytes and their size, the latest kept."""

    def __init__(self, *, max_kept_bytes: int = 64 * 2**20) -> None:
        self._kept: LRUCache[tuple[str, int], bytes] = LRUCache(max_kept_bytes, getsizeof=len)
        self._lock = Lock()

    def of_row(self, row: Row, place: str, *, max_side_px: int = MAX_SIDE_PX) -> bytes:
        """Thumbnail of one image of a row.

        Args:
            place: "query", "positive", "negative-0", "negative-1", …
            max_side_px: `MAX_FULL_SIDE_PX` for the original size.

        Raises:
            ImageProblem: There is none, or it cannot be shown.
        """
        sha256 = image_at(row, place)
        data = row.images[sha256].data
        if not data or hashlib.sha256(data).hexdigest() != sha256:
            raise ImageProblem("Not the image that was published: its checksum differs.")
        key = (sha256, max_side_px)
        with self._lock:
            known = self._kept.get(key)
        if known is not None:
            return known
        thumbnail = make_thumbnail(data, max_side_px=max_side_px)
        with self._lock, suppress(ValueError):  # one larger than all that is kept is not kept
            self._kept[key] = thumbnail
        return thumbnail


def image_at(row: Row, place: str) -> str:
    """sha256 of the image at a place of a row.

    Raises:
        ImageProblem: The row has no image there.
    """
    role, _, index = place.partition("-")
    sample = row.sample
    found: str | None = None
    if role == "negative" and index.isascii() and index.isdigit():
        images = sample.negative_images
        found = images[int(index)] if int(index) < len(images) else None
    elif place in ("query", "positive"):
        found = sample.query_image if place == "query" else sample.positive_image
    if found is None:
        raise ImageProblem("This row has no image there.")
    return found


def places(sample: Sample) -> list[str]:
    """The places at which a sample has images, in reading order."""
    found = [("query", sample.query_image), ("positive", sample.positive_image)]
    found += [(f"negative-{index}", sha) for index, sha in enumerate(sample.negative_images)]
    return [place for place, sha in found if sha is not None]


def make_thumbnail(data: bytes, *, max_side_px: int = MAX_SIDE_PX) -> bytes:
    """A WebP of at most `max_side_px` on its longer side, upright, first frame, transparent.

    Raises:
        ImageProblem: Not an image, damaged, or larger than `MAX_PICTURE_PIXELS`.
    """
    try:
        shown = read_picture(data, max_side_px=max_side_px, keep_transparency=True)
    except PictureError as exc:
        if exc.size is not None:
            width, height = exc.size
            raise ImageProblem(f"Too large to show: {width} × {height} pixels.") from exc
        raise ImageProblem("Cannot be read: damaged, or not an image.") from exc
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=90, method=2)
    return buffer.getvalue()
