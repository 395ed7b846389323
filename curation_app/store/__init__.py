"""The store: one SQLite file with the review events and what the reviewers' work needs."""

from curation_app.store.database import Database, StoreError
from curation_app.store.events import (
    AlreadyDecided,
    ChangedMeanwhile,
    EventConflict,
    ReviewStore,
    Seen,
)

__all__ = [
    "AlreadyDecided",
    "ChangedMeanwhile",
    "Database",
    "EventConflict",
    "ReviewStore",
    "Seen",
    "StoreError",
]
