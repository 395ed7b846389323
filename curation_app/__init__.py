"""The curation app: people look at a published version and their verdicts are kept for the next."""

from curation_app.data.version import VersionDataset, open_dataset
from curation_app.store import ReviewStore
from curation_app.work.decisions import Decision
from curation_app.work.desk import ReviewDesk

__all__ = ["Decision", "ReviewDesk", "ReviewStore", "VersionDataset", "open_dataset"]
