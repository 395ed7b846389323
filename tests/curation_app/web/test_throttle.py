"""The delay that grows with failures."""

from curation_app.web.throttle import ADDRESS_LIMIT, NAME_LIMIT, Throttle


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_delay_of_a_name_doubles_up_to_its_bound() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    for number in range(NAME_LIMIT.num_free):
        assert throttle.attempt("Lead", f"10.0.0.{number}") == 0
    delays = []
    for number in range(9):
        delays.append(throttle.attempt("LEAD", f"10.0.1.{number}"))
        clock.now += delays[-1]
        assert throttle.attempt("lead", f"10.0.2.{number}") == 0
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_waiting_attempts_do_not_lengthen_the_delay() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    for _ in range(NAME_LIMIT.num_free):
        throttle.attempt("lead", "10.0.0.1")
    assert {throttle.attempt("lead", "10.0.0.1") for _ in range(50)} == {1.0}


def test_an_address_that_tries_many_names_is_slowed_down() -> None:
    throttle = Throttle(clock=Clock())
    for number in range(ADDRESS_LIMIT.num_free):
        assert throttle.attempt(f"name {number}", "2001:db8::1") == 0
    assert throttle.attempt("another", "2001:db8::2") > 0, "the same /64"
    assert throttle.attempt("another", "2001:db9::1") == 0


def test_a_success_forgets_the_name_and_not_the_addresses_other_failures() -> None:
    throttle = Throttle(clock=Clock())
    for _ in range(NAME_LIMIT.num_free):
        assert throttle.attempt("lead", "10.0.0.1") == 0
    throttle.succeeded("lead", "10.0.0.1")
    assert throttle.attempt("lead", "10.0.0.2") == 0
    for number in range(ADDRESS_LIMIT.num_free - NAME_LIMIT.num_free + 1):
        assert throttle.attempt(f"name {number}", "10.0.0.1") == 0
    assert throttle.attempt("one more", "10.0.0.1") > 0


def test_failures_are_forgotten_after_an_hour() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    for _ in range(NAME_LIMIT.num_free):
        throttle.attempt("lead", "unix")
    assert throttle.attempt("lead", "unix") > 0
    clock.now += 3_601
    assert [throttle.attempt("lead", "unix") for _ in range(NAME_LIMIT.num_free)] == [0, 0, 0, 0]


def test_memory_is_bounded() -> None:
    throttle = Throttle(clock=Clock())
    for number in range(11_000):
        throttle.attempt(f"name {number}", f"10.{number >> 8}.{number & 255}.1")
    assert len(throttle._failures) <= 10_000
