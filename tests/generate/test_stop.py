"""One way to stop: it says why, wakes those who wait, and lets batches be collected or not."""

import asyncio

import pytest

from builder.cost.budget import BudgetReached
from builder.endpoint.health import EndpointError
from builder.endpoint.stop import Stop, Stopped


def test_a_stop_keeps_its_first_error_and_whether_a_signal_came() -> None:
    stop = Stop()
    stop.check()
    first, second = EndpointError("first"), EndpointError("second")
    stop.set()
    assert (stop.is_interrupted, stop.error) == (True, None)
    stop.set(first)
    stop.set(second)
    assert stop.error is first
    with pytest.raises(Stopped):
        stop.check()


def test_batches_are_collected_after_a_budget_and_left_after_anything_else() -> None:
    budget, signal = Stop(), Stop()
    budget.set(BudgetReached("spent"), may_collect=True)
    budget.check_collecting()
    signal.set()
    signal.set(BudgetReached("spent"), may_collect=True)  # the first decides
    for stop in (budget, signal):
        with pytest.raises(Stopped):
            stop.check()
    with pytest.raises(Stopped):
        signal.check_collecting()


def test_whoever_sleeps_or_waits_is_woken_at_once() -> None:
    async def scenario() -> None:
        stop = Stop()
        loop = asyncio.get_running_loop()
        await stop.sleep(0)
        tasks = [
            asyncio.create_task(stop.sleep(60)),
            asyncio.create_task(stop.unless_set(loop.create_future())),
        ]
        await asyncio.sleep(0)
        before = loop.time()
        stop.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [Stopped, Stopped]
        assert loop.time() - before < 1
        with pytest.raises(Stopped):
            await stop.sleep(0)

    asyncio.run(scenario())


def test_what_came_before_the_stop_is_not_taken_away() -> None:
    async def scenario() -> None:
        stop = Stop()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(stop.unless_set(future))
        await asyncio.sleep(0)
        future.set_result(None)
        stop.set()
        await waiting

    asyncio.run(scenario())
