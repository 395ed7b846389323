"""The curation app: people look at a published version and their verdicts are kept for the next."""

from curation_app.dataset import VersionDataset, open_dataset
from curation_app.decisions import Decision
from curation_app.desk import ReviewDesk
from curation_app.store import ReviewStore

__all__ = ["Decision", "ReviewDesk", "ReviewStore", "VersionDataset", "open_dataset"]
