"""What the next release does with the reviews as they stand."""

from collections import Counter
from dataclasses import dataclass, field

from curation_app.data.release_policy import ReleasePolicy
from curation_app.data.version import VersionDataset
from curation_app.work.progress import ReviewProgress
from schemas.review import ReviewState
from schemas.text_rules.edited import edit_problem


@dataclass(frozen=True, slots=True)
class RefusedEdit:
    """An edited row that the release would drop, and why."""

    sample_id: str
    edited_by: str
    problem: str


@dataclass(slots=True)
class NextRelease:
    """Rows of a version by what the next release does with them.

    Args:
        num_rows: Rows of the version.
        removed: Rows that go out, by reason.
        num_edited: Rows that go in with new texts.
        num_accepted: Rows that go in as they are and were accepted.
        num_undecided: Rejected by fewer reviewers than the policy asks for; they stay.
        refused_edits: Rows that go out because their edits break a rule.
    """

    num_rows: int
    removed: Counter[str] = field(default_factory=Counter[str])
    num_edited: int = 0
    num_accepted: int = 0
    num_undecided: int = 0
    refused_edits: list[RefusedEdit] = field(default_factory=list[RefusedEdit])

    @property
    def num_kept(self) -> int:
        return self.num_rows - self.removed.total()


def preview_next_release(
    dataset: VersionDataset, progress: ReviewProgress, policy: ReleasePolicy
) -> NextRelease:
    """Counts rows by what a release from these reviews would do with them.

    Edited rows are read and checked by the rules of the release; nothing else
    is read.
    """
    progress.refresh()
    preview = NextRelease(len(dataset))
    for row, state in progress.states():
        _count(preview, dataset, row, state, policy)
    return preview


def _count(
    preview: NextRelease,
    dataset: VersionDataset,
    row: int,
    state: ReviewState,
    policy: ReleasePolicy,
) -> None:
    is_decided = (
        state.adjudicated is not None or len(state.verdicts) >= policy.min_reviews_to_reject
    )
    if state.is_rejected and is_decided:
        preview.removed["rejected"] += 1
        return
    if state.is_flagged and policy.holds_flagged:
        preview.removed["flagged, waiting for a second look"] += 1
        return
    if state.edits is not None and state.edits.model_dump(exclude_none=True):
        problem = edit_problem(dataset.load(row).sample, state.edits, policy.text_rules)
        if problem is not None:
            preview.removed["edit breaks a rule"] += 1
            preview.refused_edits.append(
                RefusedEdit(dataset.sample_id(row), state.edited_by or "", str(problem))
            )
            return
        preview.num_edited += 1
    elif state.is_accepted:
        preview.num_accepted += 1
    elif state.is_rejected:
        preview.num_undecided += 1
