"""What a release is made from: the ledger, the images, the reviews and the configuration."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from builder.config import BuildConfig, load_config
from builder.images.renaming import FormerNames, none_renamed, published_rows
from builder.ledger.scores import Score
from builder.release.image_columns import ImageSource
from builder.release.review_sources import read_audits, read_sources, review_sources
from builder.release.rows import KeptRow, ReleaseError
from builder.workspace import Workspace
from schemas.audit import AuditReport
from schemas.review import ReviewEvent
from schemas.vocabulary import Slot

_log = logging.getLogger(__name__)

#: Written by `pull`: the published version that a workspace continues.
ORIGIN_NAME = "pulled.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """The published version a workspace was pulled from, and the rows dropped before that."""

    version: str
    where: str
    drops: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseInputs:
    """Everything that decides the bytes of a release.

    Args:
        config: The build's configuration.
        kept: Gives the kept rows in order of id; called once a release.
        counts: Kept rows by (task type, modality, language).
        wanted: Samples that the configuration wants of each.
        drops: Dropped rows by reason.
        languages: (kept, dropped) rows by language.
        images: Facts and bytes of images by their hash.
        mean_image_bytes: Of the images in the store.
        embedder: What picked similar images.
        events: Review events, in order.
        review_sources: The files they come from.
        audits: Closed audits of this dataset's versions.
        origin: Where the workspace was pulled from, if it was.
        former_names: See `builder.release.judging.Reviews`.
        scores: What a model said of rows, kept or dropped.
    """

    config: BuildConfig
    kept: Callable[[], Iterator[KeptRow]]
    counts: Mapping[Slot, int]
    wanted: Mapping[Slot, int]
    drops: Mapping[str, int]
    languages: Mapping[str, tuple[int, int]]
    images: ImageSource
    mean_image_bytes: float
    embedder: str
    events: list[ReviewEvent]
    review_sources: Sequence[Path] = ()
    audits: Sequence[AuditReport] = ()
    origin: Origin | None = None
    former_names: FormerNames = none_renamed
    scores: Sequence[Score] = ()
    has_extra: bool = False


@contextmanager
def open_inputs(
    workspace: Workspace, reviews: Sequence[Path] | None, audits: Sequence[Path] = ()
) -> Iterator[ReleaseInputs]:
    """Opens a workspace's inputs for reading.

    Args:
        workspace: A workspace with a finished or unfinished build.
        reviews: Review stores or exports; the workspace's own if None.
        audits: Reports of audits, besides those in the stores.

    Raises:
        ReleaseError: There is no configuration, no kept row, or no such file of reviews.
        ReviewSourceError: A file of reviews is neither a store nor an export.
    """
    from builder.balance import wanted_targets
    from builder.images.embedders import embedder_name
    from builder.images.store import ImageStore
    from builder.ledger.ledger import Ledger
    from builder.ledger.scores import read_all_scores, with_alignment
    from builder.ledger.tables import HAS_EXTRA

    if not workspace.config_path.exists():
        raise ReleaseError(
            f"{workspace.config_path}: no such file. Run `python -m builder build` first."
        )
    sources = review_sources(workspace, reviews or ())
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(workspace.ledger_path))
        store = stack.enter_context(ImageStore(workspace.images_dir))
        counts = ledger.accepted_counts()
        if not counts:
            raise ReleaseError(
                f"{workspace.ledger_path}: no kept sample yet. Run `python -m builder build` first."
            )
        config = load_config(workspace.config_path)
        _warn_of_metadata(workspace, store.num_not_normal())
        scores = read_all_scores(ledger)
        alignments = {one.sample_id: one.score for one in scores}
        yield ReleaseInputs(
            config=config,
            kept=lambda: published_rows(with_alignment(ledger.kept(), alignments), store),
            counts=counts,
            wanted=wanted_targets(config, ledger).by_slot,
            drops=ledger.drop_counts(),
            languages=ledger.language_counts(),
            images=store,
            mean_image_bytes=store.mean_bytes(),
            embedder=embedder_name(config.images.embedder, store),
            events=read_sources(sources),
            review_sources=sources,
            audits=read_audits(config.name, sources, audits),
            origin=read_origin(workspace),
            former_names=store.former_names,
            scores=scores,
            has_extra=ledger.meta(HAS_EXTRA) is not None,
        )


def _warn_of_metadata(workspace: Workspace, num_images: int) -> None:
    """Says that images are published as earlier code took them."""
    if num_images:
        _log.warning(
            "%s: %d images were added by an earlier version of this program and may carry EXIF "
            "data, such as GPS positions. Run `python -m builder images normalise -w %s` first.",
            workspace.root,
            num_images,
            workspace.root,
        )


def read_origin(workspace: Workspace) -> Origin | None:
    """Which published version the workspace was pulled from, if any."""
    path = workspace.root / ORIGIN_NAME
    if not path.exists():
        return None
    try:
        return Origin(**orjson.loads(path.read_bytes()))
    except (orjson.JSONDecodeError, TypeError) as exc:
        raise ReleaseError(f"{path}: unreadable. Delete it, or pull the version again.") from exc
