"""What an endpoint's signals mean: one table, and the numbers in it.

========================  =========  ====================  ====================  ===================
signal                    slow down  ask again             give up the request   give up the
                                                           (its job is dropped)  endpoint
========================  =========  ====================  ====================  ===================
429, 503, 529             × 0.7      after `Retry-After`,  `max_attempts` times  nothing but
(pushback)                           else after a backoff  5 of them             failures for
                                                                                 `breaker_window_s`
no answer, no connection  × 0.7      after a backoff       `max_attempts` of     the same
in time (trouble)                                          them, while others
                                                           are answered
500 …, 408, 409, 425,     no         after a backoff       the same              the same
connection lost or
refused (trouble)
400, 413, 422, …          no         after a backoff, for  the third time,       probes say that it
(refused): requests of                the draw may be at   where others are      takes no request,
its shape are answered               fault                 answered              not even a hello
refused: no request of    no         in the form that      where probes find     probes say what it
its shape was answered               probes find           nothing and it is     refuses of 2
                                                           the only one          requests
403 (forbidden)           no         after a backoff       at once, where calls  3 requests, or the
                                                           sent later are        only one, before
                                                           answered              any was answered
401, 402, 404, 429 for    –          –                     –                     at once
lack of credit (fatal)
no word about any call    no         –                     –                     it does not list
for `pace.no_response_-                                                          its models either
timeout_s`
200, but nothing that     no         once, naming what is  a second unreadable   200 jobs dropped in
can be kept                          wrong, if it can be   reply                 a row, or 20 before
                                     said                                        any was kept
========================  =========  ====================  ====================  ===================

An answer of status 200 or 400 whose body names another status counts as that
one: `error_body` finds it; a word counts as its documented status, one that
is not known as a 502. Errors cost nothing.

A shape is a kind of request, its cell and the formats of its images. Probes
(`probes`) find by experiment what of a request is refused: the reply's
schema, a field, the size, the images, their number or format, or all.

"Nothing but failures" counts from the first failure after the last answer; a
refusal is no failure of the endpoint. An endpoint that never answered gets one
call at a time from its first failure on, after waits that double, and is given
up after 45 s of them at the latest. Where one is given up, calls in flight get 5 s more; for
any other stop they are waited for. Decided in `Pace` (slow down, endpoint),
`LiveAsker` (request), `Refusals` (refused), `NoResponseWatch` and, for replies
that are dropped, `UnusableWatch`.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from schemas.errors import PolysceneError

# --- slow down ---

#: Factor on the concurrency, that of TCP CUBIC (RFC 9438): it empties a queue without starving the
#: endpoint, and growth by one per round trip makes up for it.
DECREASE = 0.7

# --- ask again ---

#: Waits double from the first to the longest, with jitter, so that failed calls do not come back
#: all at once; the longest is one breaker window by default, so that a recovery is soon noticed.
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 20.0
#: An endpoint that fails and never answered is tried at least this often in a breaker window, one
#: call at a time: it is given up after a dozen calls or so, not after hundreds.
TRIES_PER_WINDOW = 4

# --- give up the request ---

#: A pushback is the endpoint's pace, not the request's fault, so this many count as one attempt.
PUSHBACKS_PER_ATTEMPT = 5
#: A request of a shape that is answered otherwise is refused this often before it is dropped: where
#: one draw in four brings a refusal, chance alone does that to one request in sixty.
MAX_REFUSALS = 3
#: Probes that find the same of this many requests speak of the endpoint; a single request may have
#: something of its own.
MIN_REFUSED_REQUESTS = 2
#: This many requests may fail with an HTTP error on an endpoint that has worked before it is
#: suspected instead of them: the last requests of a round have no others to show that it works.
MAX_FAILING_REQUESTS = 8

# --- give up the endpoint ---

#: The fewest failures that say anything about an endpoint; at a higher concurrency, a round trip's.
MIN_FAILURES = 4
#: An endpoint that never answered is tried for the last time after this long, whatever it asks to
#: wait: within a minute, somebody is still watching.
NEVER_ANSWERED_S = 45.0
#: 403 may be about one picture, for moderation comes first; about this many it is about the key.
MAX_FORBIDDEN_REQUESTS = 3
#: How long the list of models may take. With `no_response_timeout_s` before it and the grace after
#: it, an endpoint that hangs is given up within a minute.
LIST_TIMEOUT_S = 8.0
#: How long calls in flight are waited for once the endpoint is given up: it may hold them until
#: their timeout.
GRACE_S = 5.0
#: Jobs dropped in a row; where one reply in twenty can be kept, chance alone brings that once in
#: 28,000 times (0.95^200).
MAX_DROPPED_IN_A_ROW = 200
#: Jobs dropped in a round, where nothing was ever kept: enough for a first try with a small budget.
MAX_DROPPED_FIRST = 20

#: `pushback`: slow down; `trouble`: try again; `refused`: this request will never be taken;
#: `fatal`: no request will be; `forbidden`: either, depending on what becomes of others.
FailureKind = Literal["pushback", "trouble", "refused", "fatal", "forbidden"]


class EndpointError(PolysceneError):
    """No request can succeed: wrong key, unknown model, no credit, or nothing but failures."""


class DeadEndpoint(EndpointError):
    """Nothing but failures, or no response: calls in flight are not worth waiting for."""


class UnusableReplies(EndpointError):
    """The endpoint answers, but none of its replies can be kept."""


class SendError(Exception):
    """A call that brought no answer.

    Args:
        kind: What to do about it.
        what: Short name for counts, such as `http_429` or `timeout`.
        message: For people; holds no secret.
        status: HTTP status, 0 where none came.
        retry_after_s: How long the endpoint asks to be left alone.
        body: Body of the error answer.
        words: What the server said, on one line; "" where it said nothing.
    """

    def __init__(
        self,
        kind: FailureKind,
        what: str,
        message: str,
        *,
        status: int = 0,
        retry_after_s: float | None = None,
        body: bytes = b"",
        words: str = "",
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.what = what
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body
        self.words = words

    @property
    def is_overload(self) -> bool:
        """Whether it is a sign of overload; a 500 or a refused connection is not.

        To slow down for those would starve an endpoint that is merely flawed.
        """
        return self.kind == "pushback" or self.what in {"timeout", "connect_timeout"}

    @property
    def may_be_billed(self) -> bool:
        """Whether the call was cut off after it was sent; errors are not billed."""
        return self.what in {"timeout", "connection_lost"}


def kind_of_status(status: int, *, is_out_of_credit: bool = False) -> FailureKind:
    """What to do about an HTTP status other than 200.

    Args:
        status: The status.
        is_out_of_credit: Whether the body of a 429 says that no credit is left.
    """
    if status in {401, 402, 404} or (status == 429 and is_out_of_credit):
        return "fatal"
    if status == 403:
        return "forbidden"
    if status in {429, 503, 529}:
        return "pushback"
    if status >= 500 or status in {408, 409, 425}:
        return "trouble"
    return "refused"


class UnusableWatch:
    """Notices when every job is dropped, so that replies are not paid for long.

    Args:
        has_kept: Whether the workspace holds any sample.
    """

    def __init__(self, *, has_kept: bool) -> None:
        self._has_kept = has_kept
        self._dropped: Counter[str] = Counter()
        self._cells: set[str] = set()

    def keep(self) -> None:
        """Counts a job that became a sample."""
        self._has_kept = True
        if self._dropped:
            self._dropped.clear()
            self._cells.clear()

    def drop(self, cell: str, reason: str) -> UnusableReplies | None:
        """Counts a job that was dropped; an error where too many were, one after another.

        Args:
            cell: Task type and modality combination, to be named where all were of one.
            reason: Why it was dropped.
        """
        self._dropped[reason] += 1
        self._cells.add(cell)
        return self._error() if self._dropped.total() >= MAX_DROPPED_IN_A_ROW else None

    def end_round(self) -> UnusableReplies | None:
        """Ends a round; an error where nothing was ever kept."""
        if self._has_kept or self._dropped.total() < MAX_DROPPED_FIRST:
            return None
        return self._error()

    def _error(self) -> UnusableReplies:
        num = self._dropped.total()
        of = f", all of {next(iter(self._cells))}," if len(self._cells) == 1 else ""
        return UnusableReplies(
            f"gave up: the last {num} jobs{of} were dropped ({_named(self._dropped)}), so going on "
            f"would cost money for nothing. {advice_on(self._dropped)} {_KEPT}"
        )


def nothing_kept(dropped: Mapping[str, int]) -> UnusableReplies:
    """The error of a build that ends with no sample.

    Args:
        dropped: Dropped jobs by reason.
    """
    return UnusableReplies(
        f"nothing was kept: {sum(dropped.values())} jobs, all dropped ({_named(dropped)}). "
        f"{advice_on(dropped)} {_KEPT}"
    )


_REASONS_NAMED = 3
_REFUSING = "The model refuses: look at the images, or use another model."
_TRUNCATED = (
    "Replies are cut off: raise `teacher.max_completion_tokens` (reasoning counts too), or use a "
    "model that stops by itself."
)
_NO_CHAT = "The answers are not chat completions of this model: check address and model."
_NO_REPLY = "The endpoint refuses these requests: its errors are in the ledger."
_UNREADABLE = (
    "The model does not write the JSON asked for: set `teacher.structured_output` to what the "
    "endpoint supports, or use a model that reads images and follows long instructions."
)
_UNFIT = (
    "The model writes what the checks drop: use another model, or relax `checks` and run "
    "`python -m builder reparse`."
)
_BROKEN = (
    "This program fails on the replies: see its log. Once that is fixed, `python -m builder "
    "reparse` reads them again."
)
_ONLY_REASONING = (
    "Replies have reasoning but no content: the server takes all of them for reasoning. Start it "
    "with the reasoning parser of this model or with none (vLLM, SGLang: `--reasoning-parser`; "
    "llama.cpp: `--reasoning-format none`), or turn thinking off (`teacher.extra_body`, often "
    "`chat_template_kwargs: {enable_thinking: false}`); if it thinks too long, raise "
    "`teacher.max_completion_tokens`."
)
_ONLY_TOOL_CALL = (
    "Replies are calls of tools, though none is offered: start the server without its tool parser "
    "(vLLM: `--enable-auto-tool-choice`, `--tool-call-parser`), or take tools out of "
    "`teacher.extra_body`."
)
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
    "only_reasoning": _ONLY_REASONING,
    "only_tool_call": _ONLY_TOOL_CALL,
    "internal_error": _BROKEN,
    "batch_without_reply": _NO_REPLY,
}
_KEPT = (
    "Everything so far is kept, and replies that were paid for are not asked for again. Another "
    "model needs a workspace of its own; how the endpoint is asked may change in this one. Run the "
    "same command again to go on."
)


def _named(dropped: Mapping[str, int]) -> str:
    commonest = Counter(dropped).most_common()
    named = ", ".join(f"{reason} {num}" for reason, num in commonest[:_REASONS_NAMED])
    return f"{named}, …" if len(commonest) > _REASONS_NAMED else named


def advice_on(dropped: Mapping[str, int]) -> str:
    """What to do about the commonest of these reasons, as a sentence."""
    (reason, _), *_ = Counter(dropped).most_common(1)
    return _ADVICE.get(reason, _NO_REPLY if reason.startswith("http_") else _UNFIT)
