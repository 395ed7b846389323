"""Balance says what is missing and what is too much, from the ledger alone."""

from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from builder.balance import (
    balance_of,
    print_balance,
    read_outcomes,
    surplus_jobs,
)
from builder.config import BuildConfig
from builder.ledger.ledger import Ledger, LedgerError
from builder.plan.round import jobs_to_plan
from builder.plan.shares import targets_of
from schemas.vocabulary import Slot

CONFIG = BuildConfig(num_samples=400, languages={"en": 2, "fr": 1, "yi": 1})
SLOTS = {slot: count for slot, count in targets_of(CONFIG).by_slot.items() if count}


class Outcomes:
    """Writes outcomes of the real ledger's shape."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path, create=True)
        self.num = 0

    def add(self, slot: Slot, count: int, *, round: int = 0, reason: str | None = None) -> None:
        rows = [
            (f"{self.num + number:024d}", round, self.num + number, *slot, reason)
            for number in range(count)
        ]
        self.ledger.db.executemany(
            "INSERT INTO outcome (job_id, round, idx, task_type, modality, language, reason) "
            "VALUES (?,?,?,?,?,?,?)",
            rows,
        )
        self.num += count


@pytest.fixture
def outcomes(tmp_path):
    made = Outcomes(tmp_path / "ledger.sqlite")
    yield made
    made.ledger.close()


def test_nothing_done_is_all_missing(outcomes):
    balance = balance_of(CONFIG, outcomes.ledger)
    assert balance.missing == SLOTS
    assert (balance.num_wanted, balance.num_accepted, balance.num_dropped) == (400, 0, 0)
    assert balance.largest_shortfall == 1
    assert not balance.is_met


def test_everything_done_is_met(outcomes):
    for slot, count in SLOTS.items():
        outcomes.add(slot, count)
    balance = balance_of(CONFIG, outcomes.ledger)
    assert balance.missing == {}
    assert balance.is_met
    assert balance.largest_gap == balance.largest_shortfall == 0
    assert surplus_jobs(CONFIG, outcomes.ledger) == []


def test_missing_counts_kept_samples_only(outcomes):
    slot = next(iter(SLOTS))
    outcomes.add(slot, 3)
    outcomes.add(slot, 2, reason="answer_leak")
    outcomes.add(("retrieval", "T->I", "de"), 5)
    balance = balance_of(CONFIG, outcomes.ledger)
    assert balance.missing[slot] == SLOTS[slot] - 3
    assert balance.num_dropped == 2
    ledger = outcomes.ledger
    assert (ledger.accepted_counts()[slot], ledger.tried_counts()[slot]) == (3, 5)


def test_shares_are_told_for_tasks_modalities_and_languages(outcomes):
    for slot, count in SLOTS.items():
        outcomes.add(slot, count if slot[2] != "yi" else count // 2)
        outcomes.add(slot, count - count // 2 if slot[2] == "yi" else 0, reason="wrong_language")
    balance = balance_of(CONFIG, outcomes.ledger)
    by_name = {(share.dimension, share.value): share for share in balance.shares}
    assert len(by_name) == 3 + 10 + 3
    yiddish = by_name["language", "yi"]
    assert yiddish.wanted == 100
    assert yiddish.accepted < 60
    assert yiddish.gap == pytest.approx(yiddish.accepted / balance.num_accepted - 0.25)
    assert balance.largest_shortfall == yiddish.shortfall
    for dimension in ("task type", "modality", "language"):
        own = [share for share in balance.shares if share.dimension == dimension]
        assert sum(share.reached_share for share in own) == pytest.approx(1)
        assert sum(share.wanted_share for share in own) == pytest.approx(1)
    assert [(row.language, row.reason) for row in balance.dropped] == [("yi", "wrong_language")]
    assert balance.dropped[0].share == pytest.approx(balance.dropped[0].dropped / 100)


def test_surplus_is_the_last_planned_of_each_slot(outcomes):
    slot, other = list(SLOTS)[:2]
    outcomes.add(slot, SLOTS[slot] - 1)
    outcomes.add(other, SLOTS[other] + 1)
    outcomes.add(slot, 4, round=1)
    surplus = surplus_jobs(CONFIG, outcomes.ledger)
    rows = outcomes.ledger.db.execute(
        "SELECT job_id FROM outcome WHERE round = 1 ORDER BY idx"
    ).fetchall()
    last_other = SLOTS[slot] - 1 + SLOTS[other]
    assert surplus == [f"{last_other:024d}", *(row[0] for row in rows[1:])]
    outcomes.ledger.drop(dict.fromkeys(surplus, "surplus"))
    assert surplus_jobs(CONFIG, outcomes.ledger) == []
    assert outcomes.ledger.accepted_counts() == Counter({slot: SLOTS[slot], other: SLOTS[other]})


def test_unwanted_slots_are_all_surplus(outcomes):
    outcomes.add(("retrieval", "T->I", "de"), 5)
    assert len(surplus_jobs(CONFIG, outcomes.ledger)) == 5


def test_outcomes_are_read_beside_a_writer(outcomes):
    slot = next(iter(SLOTS))
    outcomes.add(slot, 2)
    outcomes.ledger.db.execute("BEGIN IMMEDIATE")
    outcomes.add(slot, 2)
    with Ledger(outcomes.ledger.path) as reader:
        assert len(read_outcomes(reader)) == 2
        outcomes.ledger.db.execute("COMMIT")
        assert len(read_outcomes(reader)) == 4
        assert len(read_outcomes(reader, since_round=1)) == 0


def test_a_damaged_ledger_is_one_clear_error(outcomes):
    outcomes.ledger.db.execute("DROP TABLE outcome")
    with pytest.raises(LedgerError, match="backup"):
        balance_of(CONFIG, outcomes.ledger)


def test_report_names_the_languages_behind(outcomes):
    for slot, count in SLOTS.items():
        outcomes.add(slot, 0 if slot[2] == "yi" else count)
    written = StringIO()
    print_balance(balance_of(CONFIG, outcomes.ledger), Console(file=written, width=120))
    assert "Yiddish (yi)" in written.getvalue()
    assert "300 of 400 accepted" in written.getvalue()
    assert "Not every share is met yet" in written.getvalue()


@pytest.mark.parametrize("num_samples", [1, 2, 3, 7, 10, 23])
@pytest.mark.parametrize("languages", ["mme5", "uniform", {"en": 0.4, "de": 0.2, "ar": 0.4}])
def test_all_of_a_few_samples_is_all(outcomes, num_samples, languages):
    """Cells and languages whose share is less than a sample lack nothing; `plan` says so too."""
    config = BuildConfig(num_samples=num_samples, languages=languages)
    targets = targets_of(config)
    for slot, count in targets.by_slot.items():
        outcomes.add(slot, count)
    balance = balance_of(config, outcomes.ledger)
    assert (balance.num_accepted, balance.largest_shortfall) == (num_samples, 0)
    assert balance.is_met
    accepted_CL = targets.counts(outcomes.ledger.accepted_counts())
    assert not jobs_to_plan(targets, accepted_CL, accepted_CL, config.tolerance).any()


def test_one_sample_too_many_of_a_few_is_no_gap(outcomes):
    config = BuildConfig(num_samples=10, languages={"en": 1, "de": 1})
    slots = {slot: count for slot, count in targets_of(config).by_slot.items() if count}
    for slot, count in slots.items():
        outcomes.add(slot, count)
    outcomes.add(next(iter(slots)), 1)
    assert balance_of(config, outcomes.ledger).is_met


def test_what_one_slot_has_too_much_makes_up_for_no_other(outcomes):
    config = BuildConfig(num_samples=40, languages={"en": 1})
    slots = {slot: count for slot, count in targets_of(config).by_slot.items() if count}
    (first, _), *rest = slots.items()
    for slot, count in rest:
        outcomes.add(slot, count)
    outcomes.add(rest[-1][0], 9)
    balance = balance_of(config, outcomes.ledger)
    assert set(balance.missing) == {first}
    assert not balance.is_met
