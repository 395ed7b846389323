"""Runs one function over many chunks: in order, a bounded number at a time, retried, resumed."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from schemas.errors import PolysceneError

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
#: Chunks handed out per worker, so that none waits while the driver handles a result.
_CHUNKS_PER_WORKER = 3
#: Chunks remembered per worker, those included that an earlier run finished.
_KNOWN_PER_WORKER = 64
#: A chunk that is to be split is tried this many times, as a worker may die by chance.
_NUM_TRIES = 2


class EngineError(PolysceneError):
    """Work cannot be run: no cluster answers, files are out of a worker's reach, workers die."""


class WorkerDied(Exception):
    """A worker died while it ran a chunk; raised by engines, handled by `Engine.map_chunks`."""


class ChunkPlan(Generic[Chunk, Result]):
    """What is known of chunks beforehand, and what to do with one that kills its worker.

    This one knows nothing: every chunk is run, and one that keeps killing workers ends the run.
    """

    def pieces(self, chunk: Chunk) -> Sequence[Chunk]:
        """What an earlier run split the chunk into; itself if it did not."""
        return [chunk]

    def finished(self, chunk: Chunk) -> Result | None:
        """The result of an earlier run; None if the chunk has to be run."""
        return None

    def split(self, chunk: Chunk) -> Sequence[Chunk]:
        """Its halves; empty if it is a single item."""
        return []

    def refuse(self, chunk: Chunk, what: str) -> Result:
        """The result of a single item that kills its worker whenever it is tried."""
        raise EngineError(
            f"a worker died each of {_NUM_TRIES} times that it ran the same work ({what}). "
            "Give workers more memory, or use --engine local to see the cause."
        )


@dataclass(slots=True)
class _Job(Generic[Chunk, Result]):
    """A chunk in the window: running, or finished before."""

    chunk: Chunk
    handle: Any = None
    finished: Result | None = None
    num_deaths: int = 0


class Engine(ABC):
    """Base of the engines; use it as a context, or call `close`.

    Attributes:
        name: As the command line has it.
        num_deaths: How often a worker died under a chunk.
        num_resumed: Chunks that an earlier run had finished.
    """

    name: str

    def __init__(self) -> None:
        self.num_deaths = 0
        self.num_resumed = 0

    @property
    @abstractmethod
    def num_workers(self) -> int:
        """How many chunks can run at once."""

    def share(self, value: Any) -> Any:
        """Hands out a value once, for all chunks; give what is returned to `map_chunks`."""
        return value

    @abstractmethod
    def _submit(
        self, function: Callable[[Any, Any], Any], shared: Any, chunk: Any, uses_gpu: bool
    ) -> Any:
        """Starts a chunk; returns a handle for `_result`."""

    @abstractmethod
    def _result(self, handle: Any) -> Any:
        """Waits for a chunk. Raises `WorkerDied` if its worker died."""

    @abstractmethod
    def close(self) -> None:
        """Stops what the engine started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def map_chunks(
        self,
        function: Callable[[Any, Chunk], Result],
        chunks: Iterable[Chunk],
        shared: Any = None,
        *,
        plan: ChunkPlan[Chunk, Result] | None = None,
        uses_gpu: bool = False,
    ) -> Iterator[tuple[Chunk, Result]]:
        """Yields each chunk with its result, in the order of the chunks.

        A chunk whose worker died is run again; if it dies again, the halves are run, down to
        the single item, which is tried twice and then refused.

        Args:
            function: Called with the shared value and a chunk; importable by the workers.
            chunks: Read only as far as workers have room.
            shared: The same for all chunks, as `share` returned it or a small value.
            plan: Knows finished chunks, splits and refuses; for each piece of a split chunk there
                is a result.
            uses_gpu: Whether each chunk wants a GPU to itself, if there are any.

        Raises:
            EngineError: A chunk keeps killing workers and the plan cannot refuse it.
        """
        plan = plan or ChunkPlan()
        stream = iter(chunks)
        window: deque[_Job[Chunk, Result]] = deque()

        def start(chunk: Chunk) -> Iterator[_Job[Chunk, Result]]:
            for piece in plan.pieces(chunk):
                finished = plan.finished(piece)
                self.num_resumed += finished is not None
                if finished is None:
                    yield _Job(piece, self._submit(function, shared, piece, uses_gpu))
                else:
                    yield _Job(piece, finished=finished)

        while True:
            self._fill(window, stream, start)
            if not window:
                return
            job = window.popleft()
            if job.finished is not None:
                yield job.chunk, job.finished
                continue
            try:
                result = self._result(job.handle)
            except WorkerDied as exc:
                self.num_deaths += 1
                if job.num_deaths + 1 < _NUM_TRIES:
                    again = self._submit(function, shared, job.chunk, uses_gpu)
                    window.appendleft(_Job(job.chunk, again, None, job.num_deaths + 1))
                    continue
                halves = plan.split(job.chunk)
                if halves:
                    window.extendleft(reversed([j for half in halves for j in start(half)]))
                    continue
                result = plan.refuse(job.chunk, str(exc))
            yield job.chunk, result

    def _fill(
        self,
        window: deque[_Job[Chunk, Result]],
        stream: Iterator[Chunk],
        start: Callable[[Chunk], Iterable[_Job[Chunk, Result]]],
    ) -> None:
        """Starts chunks until workers have enough."""
        num_workers = self.num_workers
        num_running = sum(job.finished is None for job in window)
        while num_running < _CHUNKS_PER_WORKER * num_workers:
            if len(window) >= _KNOWN_PER_WORKER * num_workers:
                return
            chunk = next(stream, None)
            if chunk is None:
                return
            for job in start(chunk):
                window.append(job)
                num_running += job.finished is None
