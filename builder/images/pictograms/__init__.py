"""The bundled pictogram corpus: drawings in two styles with human-written CLDR words."""

from builder.images.pictograms.corpus import (
    STYLES,
    BundledImage,
    Pictogram,
    PictogramImage,
    Style,
    Words,
    bundled_images,
    languages_of,
    load_pictograms,
    notice,
)

__all__ = [
    "STYLES",
    "BundledImage",
    "Pictogram",
    "PictogramImage",
    "Style",
    "Words",
    "bundled_images",
    "languages_of",
    "load_pictograms",
    "notice",
]
