"""Concurrency goes up and down, waits are kept, an endpoint that only fails is given up."""

import asyncio

import pytest

from builder.config import PaceConfig
from builder.endpoint.health import DeadEndpoint, EndpointError, SendError
from builder.endpoint.pace import Pace
from builder.endpoint.stop import Stop, Stopped


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pushback(retry_after_s: float | None = None) -> SendError:
    return SendError("pushback", "http_429", "slow down.", status=429, retry_after_s=retry_after_s)


def trouble() -> SendError:
    return SendError("trouble", "http_500", "broken.", status=500)


async def fill(pace: Pace) -> list[float]:
    return [await pace.enter() for _ in range(int(pace.limit) - pace.in_flight)]


async def round_trip(pace: Pace) -> None:
    entered = await fill(pace)
    for _ in entered:
        pace.answered()
    for _ in entered:
        pace.leave()


def test_concurrency_doubles_a_round_trip_until_the_first_pushback_then_adds_one() -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(PaceConfig(initial_in_flight=4, max_in_flight=1000), Stop(), clock)
        for wanted in (8, 16, 32):
            await round_trip(pace)
            assert int(pace.limit) == wanted
        (sent_at, *_) = await fill(pace)
        clock.now += 1
        pace.failed(pushback(), sent_at)
        assert pace.limit == pytest.approx(22.4)
        for _ in range(32):
            pace.leave()
        await round_trip(pace)
        assert pace.limit == pytest.approx(23.4, abs=0.1)

    asyncio.run(scenario())


def test_pushbacks_of_one_round_trip_cut_once() -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(PaceConfig(initial_in_flight=10, max_in_flight=10), Stop(), clock)
        sent = await fill(pace)
        clock.now += 1
        for sent_at in sent:
            pace.failed(pushback(), sent_at)
        assert pace.limit == pytest.approx(7.0)

    asyncio.run(scenario())


def test_nobody_enters_before_retry_after_has_passed() -> None:
    async def scenario() -> None:
        pace = Pace(PaceConfig(initial_in_flight=2, max_in_flight=2), Stop())
        pace.answered()
        pace.failed(pushback(0.2), await pace.enter())
        pace.leave()
        loop = asyncio.get_running_loop()
        before = loop.time()
        await pace.enter()
        assert loop.time() - before >= 0.19

    asyncio.run(scenario())


def test_a_wait_longer_than_the_cap_is_cut_to_it() -> None:
    async def scenario() -> None:
        pace = Pace(PaceConfig(max_in_flight=2, max_retry_after_s=0.1), Stop())
        pace.answered()
        pace.failed(pushback(3600), await pace.enter())
        pace.leave()
        await asyncio.wait_for(pace.enter(), 2)

    asyncio.run(scenario())


def test_jobs_with_a_reply_go_before_new_ones() -> None:
    async def scenario() -> None:
        pace = Pace(PaceConfig(initial_in_flight=1, max_in_flight=1), Stop())
        await pace.enter()
        order: list[str] = []

        async def wait(name: str, urgent: bool) -> None:
            await pace.enter(urgent=urgent)
            order.append(name)
            pace.leave()

        tasks = [
            asyncio.create_task(wait("new", False)),
            asyncio.create_task(wait("urgent", True)),
        ]
        await asyncio.sleep(0)
        pace.leave()
        await asyncio.gather(*tasks)
        assert order == ["urgent", "new"]

    asyncio.run(scenario())


def test_nothing_but_failures_opens_the_breaker_with_what_failed_and_what_to_do() -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(
            PaceConfig(initial_in_flight=2, max_in_flight=2, breaker_window_s=20), Stop(), clock
        )
        with pytest.raises(EndpointError, match=r"http_500 \d+.*Run the same command again") as e:
            for _ in range(100):
                sent_at = await pace.enter()
                clock.now += 1
                try:
                    pace.failed(trouble(), sent_at)
                finally:
                    pace.leave()
                clock.now = max(clock.now, pace.resumes_at)
        assert clock.now - 100 <= 27
        assert "nothing" in str(e.value)

    asyncio.run(scenario())


def test_one_answer_in_between_keeps_the_breaker_shut() -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(
            PaceConfig(initial_in_flight=2, max_in_flight=2, breaker_window_s=5), Stop(), clock
        )
        for number in range(100):
            sent_at = await pace.enter()
            clock.now += 1
            if number % 4 == 0:
                pace.answered()
            else:
                pace.failed(trouble(), sent_at)
            pace.leave()

    asyncio.run(scenario())


def test_an_endpoint_that_only_asks_to_wait_is_given_up_within_a_minute() -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(PaceConfig(initial_in_flight=8, max_in_flight=8), Stop(), clock)
        with pytest.raises(EndpointError):
            while True:
                sent_at = await pace.enter()
                clock.now += 0.1
                try:
                    pace.failed(pushback(300), sent_at)
                finally:
                    pace.leave()
                # the pause in force, on the clock of the test
                clock.now = max(clock.now, pace.resumes_at)
        assert clock.now - 100 <= 60

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [pushback(), trouble(), pushback(1)])
def test_an_endpoint_that_never_answered_gets_few_calls(error: SendError) -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(PaceConfig(), Stop(), clock)
        sent = await fill(pace)
        num_sent = len(sent)
        with pytest.raises(DeadEndpoint):
            while True:
                clock.now += 0.1
                for sent_at in sent:
                    pace.leave()
                    pace.failed(error, sent_at)
                clock.now = max(clock.now, pace.resumes_at)
                sent = [await pace.enter()]
                num_sent += 1
                assert not [task for task in await waiting(pace, 3) if task.done()]
        assert num_sent <= 16
        assert clock.now - 100 <= 26

    asyncio.run(scenario())


async def waiting(pace: Pace, number: int) -> list[asyncio.Task[float]]:
    """So many more that want to enter."""
    tasks = [asyncio.create_task(pace.enter()) for _ in range(number)]
    await asyncio.sleep(0)
    for task in tasks:
        if not task.done():
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task for task in tasks if not task.cancelled()]


def test_the_first_answer_lets_all_in_that_the_limit_allows() -> None:
    async def scenario() -> None:
        pace = Pace(PaceConfig(initial_in_flight=8), Stop())
        first, second, *_ = await fill(pace)
        pace.failed(pushback(), first)
        pace.leave()
        pace.failed(pushback(), second)
        pace.leave()
        tasks = [asyncio.create_task(pace.enter()) for _ in range(4)]
        await asyncio.sleep(0)
        assert pace.in_flight == 6
        pace.answered()
        pace.leave()
        await asyncio.sleep(0)
        assert pace.in_flight == int(pace.limit) == 5
        for _ in range(5):
            pace.answered()
            pace.leave()
        await asyncio.wait_for(asyncio.gather(*tasks), 1)  # without the wait of half a second

    asyncio.run(scenario())


def test_a_call_that_timed_out_has_been_failing_since_it_was_sent() -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(PaceConfig(initial_in_flight=8, max_in_flight=8), Stop(), clock)
        sent_at = await pace.enter()
        clock.now += 120
        with pytest.raises(DeadEndpoint, match="gave up after 120 s"):
            pace.failed(SendError("trouble", "timeout", "no answer."), sent_at)

    asyncio.run(scenario())


def test_no_response_counts_from_the_last_response_to_any_call() -> None:
    async def scenario() -> None:
        clock = Clock()
        pace = Pace(PaceConfig(initial_in_flight=8, max_in_flight=8), Stop(), clock)
        assert pace.no_response_s() == 0
        await fill(pace)
        clock.now += 30
        assert pace.no_response_s() == 30
        pace.failed(trouble(), clock.now)
        pace.leave()
        clock.now += 5
        assert pace.no_response_s() == 5
        pace.answered()
        pace.leave()
        clock.now += 7
        assert pace.no_response_s() == 7
        while pace.in_flight:
            pace.leave()
        clock.now += 100
        assert pace.no_response_s() == 0
        await pace.enter()
        clock.now += 1
        assert pace.no_response_s() == 1

    asyncio.run(scenario())


def test_stopping_turns_those_who_wait_away() -> None:
    async def scenario() -> None:
        stop = Stop()
        pace = Pace(PaceConfig(initial_in_flight=1, max_in_flight=1), stop)
        await pace.enter()
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        stop.set()
        with pytest.raises(Stopped):
            await waiting
        with pytest.raises(Stopped):
            await pace.enter()

    asyncio.run(scenario())


def test_a_cancelled_wait_gives_its_place_back() -> None:
    async def scenario() -> None:
        pace = Pace(PaceConfig(initial_in_flight=1, max_in_flight=1), Stop())
        await pace.enter()
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        pace.leave()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert pace.in_flight == 0

    asyncio.run(scenario())
