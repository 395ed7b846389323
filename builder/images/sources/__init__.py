"""Sources of images: each module reads one kind of source, file by file."""

from builder.images.sources.candidate import Candidate, RefusedFile
from builder.images.sources.choose import KINDS, Source, open_source

__all__ = ["KINDS", "Candidate", "RefusedFile", "Source", "open_source"]
