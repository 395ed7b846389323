"""The image corpus: sources, checks, storage and similarity of images."""

from builder.images.split import split_of
from builder.images.store import ImageRecord, ImageStore
from builder.images.vetting import ImageRefusedError

__all__ = ["ImageRecord", "ImageRefusedError", "ImageStore", "split_of"]
