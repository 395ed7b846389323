"""The contract between the packages: rows, vocabulary, replies, reviews, manifests, Parquet."""

from schemas.errors import PolysceneError, RowError
from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.review import ReviewEvent, ReviewState, fold_events
from schemas.sample import Provenance, Sample, Text
from schemas.vocabulary import CELLS, LANGUAGES, Cell, Language, Modality, TaskType

__all__ = [
    "CELLS",
    "LANGUAGES",
    "Cell",
    "Language",
    "Modality",
    "PolysceneError",
    "Provenance",
    "ReleaseManifest",
    "ReviewEvent",
    "ReviewState",
    "RowError",
    "Sample",
    "ShardEntry",
    "TaskType",
    "Text",
    "fold_events",
]
