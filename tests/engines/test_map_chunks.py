"""Chunks come back in order, are retried, split, refused and resumed, on either engine."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.engines import ChunkPlan, EngineError, LocalEngine, WorkerRates
from schemas.errors import PolysceneError

#: One process runs all that use the one Ray.


class Halving(ChunkPlan[tuple[int, ...], list[int]]):
    """Splits chunks of numbers; a number that kills its worker becomes -1."""

    def __init__(self, done: dict[tuple[int, ...], list[int]]) -> None:
        self.done = done
        self.refused: list[int] = []

    def finished(self, chunk: tuple[int, ...]) -> list[int] | None:
        return self.done.get(chunk)

    def split(self, chunk: tuple[int, ...]) -> Sequence[tuple[int, ...]]:
        middle = len(chunk) // 2
        return [chunk[:middle], chunk[middle:]] if middle else []

    def refuse(self, chunk: tuple[int, ...], what: str) -> list[int]:
        self.refused.append(chunk[0])
        return [-1]


CHUNKS = [tuple(range(start, start + 5)) for start in range(0, 40, 5)]


def test_results_come_in_the_order_of_the_chunks(ray_engine):
    def squares(offset, chunk):
        return [number**2 + offset for number in chunk]

    with LocalEngine(3) as local:
        expected = list(local.map_chunks(squares, CHUNKS, 7))
    assert [chunk for chunk, _ in expected] == CHUNKS
    assert expected[2][1] == [107, 128, 151, 176, 203]
    assert list(ray_engine.map_chunks(squares, CHUNKS, ray_engine.share(7))) == expected


def test_chunks_are_read_only_as_far_as_workers_have_room():
    num_read = 0

    def numbers():
        nonlocal num_read
        for number in range(10_000):
            num_read += 1
            yield number

    with LocalEngine(2) as engine:
        results = engine.map_chunks(lambda _, number: number, numbers())
        assert next(results) == (0, 0)
        assert num_read <= 20


def test_a_killed_worker_costs_a_retry_and_no_result(ray_engine, tmp_path):
    def killed_once(folder, chunk):
        mark = Path(folder) / str(chunk[0])
        if chunk[0] == 10 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return list(chunk)

    before = ray_engine.num_deaths
    results = list(ray_engine.map_chunks(killed_once, CHUNKS, str(tmp_path)))
    assert results == [(chunk, list(chunk)) for chunk in CHUNKS]
    assert ray_engine.num_deaths == before + 1


def deadly(poison: set[int], chunk: tuple[int, ...]) -> list[int]:
    if poison & set(chunk):
        raise SystemExit
    return list(chunk)


@pytest.mark.parametrize("poison", [{17}, {0}, {39}, {16, 17}, {3, 22}])
def test_an_item_that_kills_every_worker_is_found_and_refused(poison, dying_threads):
    plan = Halving({})
    with dying_threads(2) as engine:
        results = engine.map_chunks(deadly, CHUNKS, poison, plan=plan)
        found = [number for _, part in results for number in part]
        assert engine.num_deaths <= 2 * 4 * len(poison)  # five numbers, three, two, one
    assert found == [-1 if number in poison else number for number in range(40)]
    assert plan.refused == sorted(poison)


def test_a_chunk_that_cannot_be_split_ends_the_run(dying_threads):
    with (
        dying_threads(1) as engine,
        pytest.raises(EngineError, match=r"died each of 2 times .*memory"),
    ):
        list(engine.map_chunks(deadly, CHUNKS, {17}))


def test_finished_chunks_are_not_run_again():
    ran: list[tuple[int, ...]] = []

    def note(_, chunk):
        ran.append(chunk)
        return list(chunk)

    plan = Halving({CHUNKS[0]: [0], CHUNKS[3]: [3]})
    with LocalEngine(1) as engine:
        results = list(engine.map_chunks(note, CHUNKS, plan=plan))
        assert engine.num_resumed == 2
    assert results[0] == (CHUNKS[0], [0])
    assert [chunk for chunk, _ in results] == CHUNKS
    assert set(ran) == set(CHUNKS) - {CHUNKS[0], CHUNKS[3]}


def test_an_error_of_ours_keeps_its_text_between_processes(ray_engine):
    class UnsendableError(PolysceneError):
        def __init__(self, reason: str, number: int) -> None:
            super().__init__(f"{reason}: {number}")

    def fails(_, chunk):
        raise UnsendableError("no good", chunk[0])

    with pytest.raises(EngineError, match="no good: 5"):
        list(ray_engine.map_chunks(fails, CHUNKS[1:2]))


def test_ray_listens_on_loopback_only_and_shows_no_dashboard(ray_engine):
    import ray

    assert ray.get_runtime_context().gcs_address.startswith("127.0.0.1:")
    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}
    assert not ray._private.worker._global_node.webui_url
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_rates_are_given_per_worker():
    rates = WorkerRates()
    assert rates.line("files") is None
    rates.add("a:1", 100, 2.0)
    rates.add("b:2", 100, 1.0)
    rates.add("a:1", 20, 1.0)
    assert rates.line("files") == "2 workers: 220 files, 40 to 100 per second each"
