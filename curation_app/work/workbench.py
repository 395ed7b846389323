"""The workbench: a version, its store, and all that people do with them; pages build on it."""

from dataclasses import dataclass
from pathlib import Path

from curation_app.data.query import VersionQuery
from curation_app.data.version import VersionDataset, open_dataset
from curation_app.store import ReviewStore
from curation_app.work.audits import Audits
from curation_app.work.desk import ReviewDesk
from curation_app.work.guidelines import Guidelines
from curation_app.work.queues import Queues


@dataclass(frozen=True, slots=True)
class Workbench:
    """What pages and commands share; each part is safe for many threads."""

    dataset: VersionDataset
    store: ReviewStore
    desk: ReviewDesk
    queues: Queues
    guidelines: Guidelines
    audits: Audits
    query: VersionQuery

    def __enter__(self) -> "Workbench":
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what goes on in the background; the store is its opener's to close."""
        self.dataset.closing.set()


def open_workbench(dataset: str, store: ReviewStore, cache_dir: Path) -> Workbench:
    """Opens a version and sets up everything people do with it.

        bench = open_workbench("demo/pictograms@0.2.0", store, cache_dir)

    Args:
        dataset: As `open_dataset` takes it.
        cache_dir: Where what can be made again is kept: search indexes of versions.

    Raises:
        PolysceneError: The version cannot be opened.
    """
    version = open_dataset(dataset)
    queues = Queues(store.database, version.version)
    guidelines = Guidelines(store.database)
    return Workbench(
        dataset=version,
        store=store,
        desk=ReviewDesk(version, store, queues=queues, guidelines=guidelines),
        queues=queues,
        guidelines=guidelines,
        audits=Audits(version, store, queues),
        query=VersionQuery(version, cache_dir),
    )
