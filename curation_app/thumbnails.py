"""Thumbnails: published images made small and safe to show, whatever bytes they are."""

import hashlib
import io
from collections import OrderedDict
from threading import Lock

from curation_app.dataset import Row
from schemas.errors import PolysceneError
from schemas.pictures import PictureError, read_picture

MAX_SIDE_PX = 1_280


class ImageProblem(PolysceneError):
    """An image that cannot be shown; its message says why, for the reviewer."""


class Thumbnails:
    """WebP thumbnails by the sha256 of the original bytes, the latest kept in memory."""

    def __init__(self, *, max_kept_bytes: int = 64 * 2**20) -> None:
        self._max_kept_bytes = max_kept_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._num_bytes = 0
        self._lock = Lock()

    def of_row(self, row: Row, place: str) -> bytes:
        """Thumbnail of one image of a row.

        Args:
            place: "query", "positive", "negative-0", "negative-1", …

        Raises:
            ImageProblem: There is none, or it cannot be shown.
        """
        sha256 = image_at(row, place)
        data = row.images[sha256].data
        if not data or hashlib.sha256(data).hexdigest() != sha256:
            raise ImageProblem("Not the image that was published: its checksum differs.")
        with self._lock:
            if sha256 in self._kept:
                self._kept.move_to_end(sha256)
                return self._kept[sha256]
        thumbnail = make_thumbnail(data)
        with self._lock:
            if sha256 not in self._kept:
                self._kept[sha256] = thumbnail
                self._num_bytes += len(thumbnail)
            while self._num_bytes > self._max_kept_bytes and len(self._kept) > 1:
                self._num_bytes -= len(self._kept.popitem(last=False)[1])
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


def make_thumbnail(data: bytes) -> bytes:
    """A WebP of at most `MAX_SIDE_PX` a side, upright, first frame, transparency kept.

    Raises:
        ImageProblem: Not an image, damaged, or larger than `MAX_PICTURE_PIXELS`.
    """
    try:
        shown = read_picture(data, max_side_px=MAX_SIDE_PX, keep_transparency=True)
    except PictureError as exc:
        if exc.size is not None:
            width, height = exc.size
            raise ImageProblem(f"Too large to show: {width} × {height} pixels.") from exc
        raise ImageProblem("Cannot be read: damaged, or not an image.") from exc
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=90, method=2)
    return buffer.getvalue()
