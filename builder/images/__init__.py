"""The image corpus: where pictures come from, which are fit, how alike they are."""

from builder.images.split import split_of
from builder.images.store import ImageRecord, ImageStore
from builder.images.vetting import ImageRefusedError

__all__ = ["ImageRecord", "ImageRefusedError", "ImageStore", "split_of"]
