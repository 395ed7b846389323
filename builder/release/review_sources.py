"""Where a release takes its reviews from, and whether there are newer ones."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from builder.release.rows import ReleaseError
from builder.workspace import Workspace
from schemas.review import ReviewEvent, in_order
from schemas.review_store import is_store, read_reviews


def review_sources(workspace: Workspace, given: Sequence[Path]) -> list[Path]:
    """The files named, else the workspace's own export and store, where they are there.

    Raises:
        ReleaseError: A file that was named is missing.
    """
    missing = next((path for path in given if not path.is_file()), None)
    if missing is not None:
        raise ReleaseError(
            f"{missing}: no such file. Name a review store or an export of one, or leave it out."
        )
    own = (workspace.reviews_path, workspace.review_store_path)
    return list(given) or [path for path in own if path.is_file()]


def read_sources(sources: Iterable[Path]) -> list[ReviewEvent]:
    """Events of stores and exports, each once, in the order they happened.

    Raises:
        ReviewSourceError: A source is neither a review store nor an export.
        RowError: A line of an export is not an event.
    """
    return in_order(event for source in sources for event in read_reviews(source))


def newer_reviews(
    workspace: Workspace, sources: Sequence[Path], taken: Iterable[ReviewEvent]
) -> tuple[Path, int] | None:
    """A store that holds events a release did not take in, and how many.

    Looks at the sources again, as people may go on reviewing meanwhile, at the
    stores that lie beside an export, and at the workspace's own.
    """
    known = {event.event_id for event in taken}
    beside = (source.with_suffix(".sqlite") for source in sources)
    for store in dict.fromkeys((*sources, *beside, workspace.review_store_path)):
        if store.is_file() and is_store(store):
            num_newer = sum(event.event_id not in known for event in read_reviews(store))
            if num_newer:
                return store, num_newer
    return None
