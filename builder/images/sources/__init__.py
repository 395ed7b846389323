"""Sources of images: each module reads one kind of source, file by file."""

from builder.images.sources.candidate import Candidate, Entry, PresentFile, RefusedFile
from builder.images.sources.choose import KINDS, Kind, Source, open_source
from builder.images.sources.download import UrlOptions

__all__ = [
    "KINDS",
    "Candidate",
    "Entry",
    "Kind",
    "PresentFile",
    "RefusedFile",
    "Source",
    "UrlOptions",
    "open_source",
]
