"""When to stop paying for replies: an endpoint answers, but nothing it says can be kept."""

from collections import Counter
from collections.abc import Mapping

from builder.generate.client import EndpointError

#: So many jobs dropped one after another end a run.
MANY = 200
#: So many do at the end of a round, where nothing was ever kept.
FEW = 20
_REASONS_NAMED = 3

_REFUSING = "The model refuses: look at the images, or take another model."
_TRUNCATED = (
    "Replies are cut off: raise `teacher.max_completion_tokens`, thoughts count too, or take a "
    "model that ends by itself."
)
_NO_CHAT = "What answers there is no chat endpoint for this model: check address and model."
_NO_REPLY = "The endpoint does not take these requests: its errors are in the ledger."
_UNREADABLE = (
    "The model does not write the JSON asked for: set `teacher.structured_output` to what the "
    "endpoint supports, or take a model that reads images and follows long instructions."
)
_UNFIT = (
    "The model writes what the checks drop: take another model, or loosen `checks` and run "
    "`python -m builder reparse`."
)
_BROKEN = "This program fails on the replies: see its log; `python -m builder reparse` reads them."
_ADVICE = {
    **dict.fromkeys(("refusal", "refused", "content_filter"), _REFUSING),
    "truncated": _TRUNCATED,
    **dict.fromkeys(("not_a_completion", "empty_choices"), _NO_CHAT),
    **dict.fromkeys(
        (
            *("not_json", "wrong_fields", "wrong_interpretations", "duplicate_key"),
            *("lone_surrogate", "empty_content", "whitespace_flood"),
        ),
        _UNREADABLE,
    ),
    "internal_error": _BROKEN,
    "batch_without_reply": _NO_REPLY,
}
_KEPT = (
    "Everything so far is kept, and replies that were paid for are not asked for again. Another "
    "`teacher` needs a workspace of its own; else run the same command again to go on."
)


class UselessReplies(EndpointError):
    """The endpoint answers, but none of its replies can be kept."""


class UselessWatch:
    """Notices when every job is dropped.

    Args:
        has_kept: Whether the workspace holds any sample.
    """

    def __init__(self, *, has_kept: bool) -> None:
        self._has_kept = has_kept
        self._dropped: Counter[str] = Counter()
        self._cells: set[str] = set()

    def keep(self) -> None:
        """A job became a sample."""
        self._has_kept = True
        if self._dropped:
            self._dropped.clear()
            self._cells.clear()

    def drop(self, cell: str, reason: str) -> UselessReplies | None:
        """A job was dropped; an error where too many were, one after another.

        Args:
            cell: Task type and modality combination, to be named where all were of one.
            reason: Why it was dropped.
        """
        self._dropped[reason] += 1
        self._cells.add(cell)
        return self._error() if self._dropped.total() >= MANY else None

    def end_round(self) -> UselessReplies | None:
        """A round is over; an error where nothing was ever kept."""
        if self._has_kept or self._dropped.total() < FEW:
            return None
        return self._error()

    def _error(self) -> UselessReplies:
        num = self._dropped.total()
        of = f", all of {next(iter(self._cells))}," if len(self._cells) == 1 else ""
        return UselessReplies(
            f"gave up: the last {num} jobs{of} were dropped ({_named(self._dropped)}), so going on "
            f"would cost money for nothing. {_advice(self._dropped)} {_KEPT}"
        )


def nothing_kept(dropped: Mapping[str, int]) -> UselessReplies:
    """The error of a build that ends with no sample.

    Args:
        dropped: Dropped jobs by reason.
    """
    return UselessReplies(
        f"nothing was kept: {sum(dropped.values())} jobs, all dropped ({_named(dropped)}). "
        f"{_advice(dropped)} {_KEPT}"
    )


def _named(dropped: Mapping[str, int]) -> str:
    commonest = Counter(dropped).most_common()
    named = ", ".join(f"{reason} {num}" for reason, num in commonest[:_REASONS_NAMED])
    return f"{named}, …" if len(commonest) > _REASONS_NAMED else named


def _advice(dropped: Mapping[str, int]) -> str:
    (reason, _), *_ = Counter(dropped).most_common(1)
    return _ADVICE.get(reason, _NO_REPLY if reason.startswith("http_") else _UNFIT)
