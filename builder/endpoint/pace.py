"""Pace: how many requests may be in flight, when to wait, when to give an endpoint up."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable

from builder.config import PaceConfig
from builder.endpoint.health import (
    DECREASE,
    FIRST_BACKOFF_S,
    MAX_BACKOFF_S,
    MIN_FAILURES,
    NEVER_ANSWERED_S,
    TRIES_PER_WINDOW,
    DeadEndpoint,
    SendError,
)
from builder.endpoint.stop import Stop


class Pace:
    """Adaptive concurrency with a circuit breaker.

    The limit doubles per round trip until the first pushback, then grows by
    one per round trip (additive increase, multiplicative decrease); a
    pushback or timeout cuts it, at most once per round trip. An endpoint that
    fails before it ever answered gets one call at a time, after waits that
    double, until it does. The breaker opens when nothing but failures came for
    `breaker_window_s`, the endpoint having been asked again after any wait it
    asked for. `health` has the numbers.

    Example:
        sent_at = await pace.enter()
        try:
            ...  # send; then pace.answered() or pace.failed(error, sent_at)
        finally:
            pace.leave()

    Args:
        config: Bounds.
        stop: Turns away those who wait once it is set.
        clock: Seconds, monotonic.
        seed: Of the jitter on waits.
    """

    def __init__(
        self,
        config: PaceConfig,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
        seed: int = 0,
    ) -> None:
        self.config = config
        self._stop = stop
        self.limit = float(min(config.initial_in_flight, config.max_in_flight))
        self.in_flight = 0
        self.num_answers = 0
        self.last_answer_at = float("-inf")
        self.failures: Counter[str] = Counter()
        self._clock = clock
        self._random = random.Random(seed)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._is_starting = True
        self._paused_until = 0.0
        self._trial_at = 0.0
        self._trial_set_at = float("-inf")
        self._num_trials = 0
        self._resume: asyncio.TimerHandle | None = None
        self._cut_at = -1.0
        self._failing_since: float | None = None
        self._busy_since = 0.0
        self._last_response_at = float("-inf")
        self._failing: Counter[str] = Counter()

    async def enter(self, *, urgent: bool = False) -> float:
        """Waits for a place; returns the time it was given.

        Args:
            urgent: For a job that already has a reply or a failure: before new jobs.

        Raises:
            Stopped: The run is stopping.
        """
        self._stop.check()
        if self._is_full() or self._paused() or self._urgent or self._waiting:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._urgent if urgent else self._waiting).append(place)
            self._admit()
            try:
                await self._stop.unless_set(place)
            except asyncio.CancelledError:
                # Cancelled after it was let in: the place would be lost.
                if place.done() and not place.cancelled() and place.exception() is None:
                    self.leave()
                raise
        else:
            self._let_in()
        return self._clock()

    def now(self) -> float:
        """Seconds of its clock, as `enter` returns them."""
        return self._clock()

    @property
    def resumes_at(self) -> float:
        """When the next call may be sent; in the past where one may be sent now."""
        return max(self._paused_until, self._trial_at if self._is_on_trial() else 0.0)

    @property
    def load(self) -> tuple[bool, float]:
        """How busy the endpoint is: whether it must be waited for, and calls by its limit."""
        num = self.in_flight + len(self._urgent) + len(self._waiting)
        return self._paused(), num / self.limit

    def leave(self) -> None:
        """Gives the place back."""
        self.in_flight -= 1
        self._admit()

    def no_response_s(self) -> float:
        """How long calls have been under way without a response to any; 0 while none is."""
        if self.in_flight == 0:
            return 0.0
        return self._clock() - max(self._busy_since, self._last_response_at)

    def answered(self) -> None:
        """An answer came: the endpoint works, a little more can be asked of it."""
        self.num_answers += 1
        self.last_answer_at = self._last_response_at = self._clock()
        self._failing_since = None
        self._failing.clear()
        # A limit that is not used says nothing of what the endpoint would take beyond it. +1 per
        # answer doubles the limit per round trip, +1/limit per answer adds one.
        if self.in_flight * 2 >= int(self.limit):
            self.limit += 1.0 if self._is_starting else 1.0 / self.limit
            self.limit = min(self.limit, float(self.config.max_in_flight))

    def failed(self, error: SendError, sent_at: float, *, may_break: bool = True) -> None:
        """A call brought no answer: slows down, and opens the breaker when it must.

        Args:
            error: What came instead.
            sent_at: When the call was sent, as `enter` returned it.
            may_break: Whether it counts against the endpoint at all.

        Raises:
            DeadEndpoint: Nothing but failures for too long.
        """
        now = self._clock()
        self.failures[error.what] += 1
        self._failing[error.what] += 1
        if error.status:
            self._last_response_at = now
        if self._failing_since is None:
            # A call that timed out has been failing since it was sent, or since the last answer.
            timed_out = error.what == "timeout"
            self._failing_since = max(sent_at, self.last_answer_at) if timed_out else now
        # Calls sent before the last cut were sent at the old limit: what they bring says nothing
        # about the new one. So a burst of pushbacks cuts once, not once for each call in flight.
        if error.is_overload and sent_at > self._cut_at:
            self._cut_at = now
            self._is_starting = False
            self.limit = max(1.0, self.limit * DECREASE)
        if may_break:
            self._check_breaker(error, sent_at, now)
        if error.kind in {"pushback", "trouble"}:
            self._delay_trial(sent_at, now)
        if error.kind == "pushback" and error.retry_after_s:
            wait_s = min(error.retry_after_s, self.config.max_retry_after_s)
            # Else an endpoint that never works would be waited for as long as it likes.
            if self.num_answers == 0:
                wait_s = min(wait_s, NEVER_ANSWERED_S + self._failing_since - now)
            self._pause(wait_s)

    def refused(self, error: SendError) -> None:
        """A call was refused: the endpoint is alive, and how it is asked is another's matter."""
        self.failures[error.what] += 1
        self._last_response_at = self._clock()

    def backoff_s(self, num_failures: int) -> float:
        """How long a job waits before its next try, with jitter."""
        longest = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (num_failures - 1))
        return longest * (0.5 + self._random.random() / 2)

    def _check_breaker(self, error: SendError, sent_at: float, now: float) -> None:
        since = self._failing_since
        assert since is not None
        num = self._failing.total()
        lasted = now - since
        # Failures of one instant are one event: only a call sent after the first failure, or one
        # that hung all the while, shows that the trouble lasts.
        asked_again = sent_at >= since or error.what == "timeout"
        enough = num >= max(MIN_FAILURES, int(self.limit))
        hopeless = enough and asked_again and lasted >= self.config.breaker_window_s
        never_answered = self.num_answers == 0 and lasted >= NEVER_ANSWERED_S
        if not hopeless and not never_answered:
            return
        counts = ", ".join(f"{what} {num}" for what, num in self._failing.most_common())
        raise DeadEndpoint(
            f"gave up after {lasted:.0f} s of nothing but failures ({counts}); the last: "
            f"{error.message} {_remedy(error)} Run the same command again to go on; nothing paid "
            "for is lost."
        )

    def _is_on_trial(self) -> bool:
        """Whether the endpoint has failed and never answered."""
        return self.num_answers == 0 and self._num_trials > 0

    def _delay_trial(self, sent_at: float, now: float) -> None:
        """Puts the next call to an endpoint that never answered off, twice as long each time."""
        # Calls sent before the last failure was met are part of it.
        if self.num_answers > 0 or sent_at < self._trial_set_at:
            return
        longest = self.config.breaker_window_s / TRIES_PER_WINDOW
        wait_s = min(FIRST_BACKOFF_S * 2**self._num_trials, longest)
        self._num_trials += 1
        self._trial_set_at, self._trial_at = now, now + wait_s
        self._admit_at(self.resumes_at)

    def _is_full(self) -> bool:
        return self.in_flight >= (1 if self._is_on_trial() else int(self.limit))

    def _let_in(self) -> None:
        if self.in_flight == 0:
            self._busy_since = self._clock()
        self.in_flight += 1

    def _paused(self) -> bool:
        return self._clock() < self.resumes_at

    def _pause(self, wait_s: float) -> None:
        until = self._clock() + wait_s
        if until > self._paused_until:
            self._paused_until = until
            self._admit_at(self.resumes_at)

    def _admit_at(self, when: float) -> None:
        if self._resume is not None:
            self._resume.cancel()
        wait_s = max(0.0, when - self._clock())
        self._resume = asyncio.get_running_loop().call_later(wait_s + 0.001, self._admit)

    def _admit(self) -> None:
        if self._paused():
            return
        while not self._is_full() and (self._urgent or self._waiting):
            place = (self._urgent or self._waiting).popleft()
            if not place.done():
                self._let_in()
                place.set_result(None)


def _remedy(error: SendError) -> str:
    """What to look at where an endpoint is given up."""
    if error.kind == "pushback":
        return "It is at its limit: wait, or look at the account's limits there."
    if error.status:
        return "The fault is on its side: look at its log or status page."
    return "Is the server up?"
