"""What to do about a refused request (400, 413, 422, …): the draw, the request, or the endpoint."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from builder.endpoint.capabilities import Capabilities, LearnedCapabilities, complaint
from builder.endpoint.client import Endpoint
from builder.endpoint.health import (
    MAX_REFUSALS,
    MIN_REFUSED_REQUESTS,
    EndpointError,
    SendError,
)
from builder.endpoint.pace import Pace
from builder.endpoint.probes import Cause, Finding, Refused, find_refused, is_refused
from builder.endpoint.requests import Form, Request, RequestFactory
from builder.endpoint.stop import Stop, Stopped
from builder.generate.prober import Prober
from schemas.vocabulary import Cell

#: A request may be found to be accepted after all this often.
_MAX_DIAGNOSES = 3


@dataclass(frozen=True, slots=True)
class _Shape:
    """Requests that an endpoint takes or refuses alike, but for what is in them."""

    kind: str
    cell: Cell
    media_types: frozenset[str]


@dataclass(slots=True)
class RefusalCount:
    """How often a request was refused, and in what form it is to be asked.

    `last_sent_at` is when it was sent last.
    """

    capabilities: Capabilities
    num: int = 0
    last_sent_at: float = 0.0
    num_diagnoses: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says about requests, as it is named where it has to be changed.

    Args:
        role: Section of the configuration: "teacher" or "judge".
        max_side_px: Longest side of images that are sent.
        is_wanted: Whether samples of a cell are still wanted.
    """

    role: str = "teacher"
    max_side_px: int = 1_024
    is_wanted: Callable[[Cell], bool] = lambda _: True


class Refusals:
    """Decides about refused requests, one at a time where that takes probes.

    A request whose shape is answered otherwise is asked again, then dropped.
    Else probes tell what is refused: all go without it from then on, or the
    run stops and says which setting to change.

    Args:
        endpoint: Who refuses.
        factory: Makes bodies.
        pace: Knows whether other requests are answered.
        stop: Set where the endpoint takes no request.
        prober: Sends probes.
        learned: What the endpoint goes without.
        settings: Of the configuration.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        factory: RequestFactory,
        pace: Pace,
        stop: Stop,
        prober: Prober,
        learned: LearnedCapabilities,
        settings: Settings,
    ) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._pace = pace
        self._stop = stop
        self._prober = prober
        self._learned = learned
        self._settings = settings
        self._answered: set[_Shape] = set()
        self._refused: defaultdict[_Shape, set[str]] = defaultdict(set)
        self._last_answered: tuple[Request, Capabilities] | None = None
        self._probing = asyncio.Lock()
        #: The server's words for what it goes without.
        self.last_words = ""

    @property
    def holds_others(self) -> bool:
        """Whether probes find out how an endpoint that never answered is to be asked."""
        return self._probing.locked() and not self._answered

    async def wait_for_probes(self) -> None:
        """Waits until probes under way are done."""
        async with self._probing:
            self._stop.check()

    def note_answer(self, request: Request, asked_with: Capabilities) -> None:
        """Notes that a request of its shape was answered."""
        self._answered.add(self._shape(request, asked_with))
        self._last_answered = request, asked_with

    async def is_final(
        self, request: Request, asked_with: Capabilities, count: RefusalCount, error: SendError
    ) -> bool:
        """Whether a request that was refused is to be given up; else it is to be asked again.

        Args:
            request: The request.
            asked_with: How it was asked.
            count: Its refusals; changed.
            error: What it was refused with.

        Raises:
            Stopped: The endpoint takes no such request, or the run is stopping.
        """
        shape = self._shape(request, asked_with)
        self._refused[shape].add(request.key)
        count.num += 1
        if shape in self._answered and count.num >= MAX_REFUSALS:
            await self._require_alive(request, count, error)
            return True
        if shape in self._answered or (count.num == 1 and self._answered):
            await self._stop.sleep(self._pace.backoff_s(count.num))
            return False
        async with self._probing:
            self._stop.check()
            now = request.ask_with(self._learned.now.lowered_to(count.capabilities))
            if now != asked_with or shape in self._answered:
                return False  # another's probes found something, or its request was answered
            is_first = not self._answered
            finding = await find_refused(
                lambda form: self._ask(request, form),
                self._describe(request, asked_with, error),
                is_alive=self._pace.last_answer_at >= count.last_sent_at,
            )
            return self._conclude(request, shape, asked_with, count, error, finding, is_first)

    async def _ask(self, request: Request, form: Form | None) -> bool | None:
        return await self._prober.ask(request, form)

    def _shape(self, request: Request, asked_with: Capabilities) -> _Shape:
        types = self._factory.media_types(request, asked_with)
        return _Shape(request.kind, request.job.cell, types)

    async def _require_alive(self, request: Request, count: RefusalCount, error: SendError) -> None:
        """Stops where nothing at all is answered any more, as when an account runs dry."""
        async with self._probing:
            self._stop.check()
            if self._pace.last_answer_at >= count.last_sent_at:
                return
            known = self._last_answered
            assert known is not None
            form = Form(known[1], self._factory.teacher.max_completion_tokens)
            if await is_refused(lambda form: self._ask(known[0], form), form):
                self._give_up("everything", request, error, "one that it answered before")

    def _describe(self, request: Request, asked_with: Capabilities, error: SendError) -> Refused:
        teacher = self._factory.teacher
        names = set(teacher.extra_body) - asked_with.refused_fields
        fields = sorted(names)
        if teacher.temperature is not None and asked_with.takes_temperature:
            fields.insert(0, "temperature")
        return Refused(
            asked_with=asked_with,
            wanted="text" if request.is_plain else self._learned.wanted,
            max_tokens=teacher.max_completion_tokens,
            fields=tuple(fields),
            media_types=self._factory.media_types(request, asked_with),
            num_images=len(request.job.images),
            said=complaint(error.body),
        )

    def _conclude(
        self,
        request: Request,
        shape: _Shape,
        asked_with: Capabilities,
        count: RefusalCount,
        error: SendError,
        finding: Finding,
        is_first: bool,
    ) -> bool:
        count.num_diagnoses += 1
        if finding.lower is not None:
            count.capabilities = finding.lower
            count.num = 0
            # Where other requests were answered as this one was asked, it may be a matter of its
            # own; a second one shows that it is not.
            num_needed = 1 if is_first else MIN_REFUSED_REQUESTS
            self.last_words = error.words
            self._learned.learn(request.key, asked_with, finding.lower, num_needed)
            self._refused.clear()
            return False
        if finding.cause is None or shape in self._answered:
            return count.num_diagnoses >= _MAX_DIAGNOSES
        is_alone = len(self._refused[shape]) < MIN_REFUSED_REQUESTS
        is_unwanted = not self._settings.is_wanted(request.job.cell)
        if finding.cause != "everything" and (is_alone or is_unwanted):
            return True
        self._give_up(finding.cause, request, error, finding.remedy)
        raise AssertionError("unreachable")

    def _give_up(self, cause: Cause, request: Request, error: SendError, remedy: str) -> None:
        told = self._prober.last_refusal if cause == "everything" else error
        words = (told or error).words or f"status {error.status}"
        explained = self._explain(cause, request, words, remedy)
        self._stop.set(EndpointError(f"{explained} {_THEN}"))
        raise Stopped from error

    def _explain(self, cause: Cause, request: Request, words: str, remedy: str) -> str:
        """What is refused, in whose words, and which setting to change."""
        address, model, teacher = (
            self._endpoint.address,
            self._endpoint.model,
            self._factory.teacher,
        )
        role, side_px = self._settings.role, self._settings.max_side_px
        cell, num_images = request.job.cell.name, len(request.job.images)
        said = f'It says: "{words}".'
        match cause:
            case "everything":
                return (
                    f"{address} refuses every request for model {model}, even "
                    f"{remedy or 'one short line of text'}. {said} Check "
                    f"{self._endpoint.key_env}, the model name and the account there."
                )
            case "format":
                return (
                    f"{address} does not take `{role}.structured_output` "
                    f"{teacher.structured_output} for model {model}. {said} Set it to {remedy}, or "
                    f"to auto; {_MAY_CHANGE}"
                )
            case "size":
                return (
                    f"{address}: the context of model {model} is too small for a request and a "
                    f"reply of up to `{role}.max_completion_tokens` "
                    f"({teacher.max_completion_tokens}) tokens. {said} Lower that number (a sample "
                    f"takes about 1,000) or `images.max_side_px` ({side_px}), or give the server a "
                    f"larger context; {_MAY_CHANGE}"
                )
            case "image_size":
                return (
                    f"{address}: model {model} takes requests of {cell} with small images, not "
                    f"with images as large as they are sent. {said} Lower `images.max_side_px` "
                    f"({side_px}), or raise the server's limits on context and request size; "
                    f"{_MAY_CHANGE}"
                )
            case "num_images":
                return (
                    f"{address}: model {model} takes fewer than the {num_images} images that a "
                    f"request of {cell} shows. {said} Leave such cells out with `modality_shares`, "
                    "or let the server take more (vLLM: --limit-mm-per-prompt); the shares may "
                    "change in this workspace."
                )
            case "images":
                return (
                    f"{address}: model {model} takes the text of requests of {cell}, not their "
                    f"images. {said} Use a model that reads images, or start its server with image "
                    "input; another model needs a workspace of its own."
                )
            case "request":
                return (
                    f"{address}: model {model} takes a short text, but requests of {cell} in no "
                    f"form. {said} Look at the server's limits, such as its context, or leave such "
                    "cells out with `modality_shares`."
                )


_THEN = "Then run the same command again; nothing paid for is lost."
_MAY_CHANGE = "settings of the endpoint may change in this workspace."
