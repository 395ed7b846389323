"""Accounts and invitations in a real store."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation_app.store.accounts import AccountError, Accounts
from curation_app.store.database import Database, StoreError

argon2 = pytest.importorskip("argon2", reason="accounts need the extra `app`")

PASSWORD = "correct horse battery"
#: The real hash, with next to no work.
QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class Clock:
    """Seconds since 1970 that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    database = Database(tmp_path / "reviews.sqlite")
    yield Accounts(database, clock=clock, hasher=QUICK)
    database.close()


def add_lead(accounts: Accounts) -> None:
    accounts.add("Lead One", role="lead", languages=None, password=PASSWORD)


def test_a_password_is_kept_as_an_argon2id_hash_and_nowhere_else(
    accounts: Accounts, tmp_path: Path
) -> None:
    add_lead(accounts)
    account = accounts.get("Lead One")
    assert account is not None and account.password_hash.startswith("$argon2id$")
    for file in tmp_path.iterdir():
        assert PASSWORD.encode() not in file.read_bytes()


def test_name_and_password_belong_together(accounts: Accounts) -> None:
    add_lead(accounts)
    assert accounts.authenticate("lead one", PASSWORD) == accounts.get("Lead One")
    assert accounts.authenticate("Lead One", PASSWORD + "!") is None
    assert accounts.authenticate("Nobody", PASSWORD) is None
    assert accounts.authenticate("", "") is None
    assert accounts.authenticate("\ud800", "\ud800") is None


def test_a_composed_and_a_decomposed_password_are_the_same(accounts: Accounts) -> None:
    accounts.add("Lead", role="lead", languages=None, password="caf\u00e9 caf\u00e9 caf\u00e9")
    assert accounts.authenticate("Lead", "cafe\u0301 cafe\u0301 cafe\u0301") is not None


def test_languages_come_back_as_they_were_given(accounts: Accounts) -> None:
    add_lead(accounts)
    accounts.add("R", role="reviewer", languages=frozenset({"ar", "fa"}), password=PASSWORD)
    assert [(a.name, a.languages) for a in accounts.all()] == [
        ("Lead One", None),
        ("R", frozenset({"ar", "fa"})),
    ]
    accounts.set_languages("R", None)
    found = accounts.get("R")
    assert found is not None and found.languages is None


@pytest.mark.parametrize(
    ("name", "role", "password", "what"),
    [
        ("LEAD ONE", "reviewer", PASSWORD, "taken"),
        ("New", "reviewer", "short", "10 to 1,024"),
        ("New", "reviewer", "x" * 1_025, "10 to 1,024"),
        ("longer name", "reviewer", "Longer Name", "must not be the name"),
    ],
)
def test_an_account_that_cannot_be_made_says_why(
    accounts: Accounts, name: str, role: str, password: str, what: str
) -> None:
    add_lead(accounts)
    with pytest.raises(AccountError, match=what):
        accounts.add(name, role=role, languages=None, password=password)
    assert len(accounts.all()) == 1


def test_the_first_account_is_a_leads(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="--role lead"):
        accounts.add("R", role="reviewer", languages=None, password=PASSWORD)
    token = accounts.invite(role="reviewer", languages=None, created_by="x")
    with pytest.raises(AccountError, match="--role lead"):
        accounts.accept(token, name="R", password=PASSWORD)
    assert not accounts.exist() and accounts.invitation(token) is not None


def test_a_new_password_and_a_deactivation_raise_the_generation(accounts: Accounts) -> None:
    add_lead(accounts)
    accounts.add("R", role="reviewer", languages=None, password=PASSWORD)
    accounts.set_password("R", "another password")
    assert accounts.authenticate("R", PASSWORD) is None
    accounts.set_active("R", False)
    assert accounts.authenticate("R", "another password") is None
    accounts.set_active("R", True)
    found = accounts.authenticate("R", "another password")
    assert found is not None and found.generation == 3


def test_the_last_active_lead_stays(accounts: Accounts) -> None:
    add_lead(accounts)
    with pytest.raises(AccountError, match="only active lead"):
        accounts.set_active("lead one", False)
    with pytest.raises(AccountError, match="only active lead"):
        accounts.set_role("Lead One", "reviewer")
    accounts.add("Lead Two", role="lead", languages=None, password=PASSWORD)
    accounts.set_role("Lead One", "reviewer")
    with pytest.raises(AccountError, match="no such account"):
        accounts.set_active("Nobody", False)


def test_an_invitation_makes_one_account_and_is_then_used_up(accounts: Accounts) -> None:
    add_lead(accounts)
    token = accounts.invite(role="reviewer", languages=frozenset({"ar"}), created_by="Lead One")
    made = accounts.accept(token, name="R", password=PASSWORD)
    assert (made.role, made.languages) == ("reviewer", frozenset({"ar"}))
    assert accounts.invitation(token) is None
    with pytest.raises(AccountError, match="used"):
        accounts.accept(token, name="S", password=PASSWORD)


def test_an_invitation_survives_a_name_that_is_taken_and_ends_with_its_time(
    accounts: Accounts, clock: Clock
) -> None:
    add_lead(accounts)
    token = accounts.invite(role="reviewer", languages=None, created_by="Lead One", days=7)
    with pytest.raises(AccountError, match="taken"):
        accounts.accept(token, name="Lead One", password=PASSWORD)
    assert accounts.invitation(token) is not None
    assert accounts.invitation(token + "x") is None and accounts.invitation("\ud800") is None
    clock.now += 7 * 86_400 + 1
    assert accounts.invitation(token) is None


def test_an_invitation_taken_by_many_at_once_makes_one_account(accounts: Accounts) -> None:
    add_lead(accounts)
    token = accounts.invite(role="reviewer", languages=None, created_by="Lead One")
    made: list[str] = []

    def take(name: str) -> None:
        with contextlib.suppress(AccountError):
            made.append(accounts.accept(token, name=name, password=PASSWORD).name)

    threads = [threading.Thread(target=take, args=(f"R{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and len(accounts.all()) == 2


def test_the_store_keeps_a_hash_of_the_token(accounts: Accounts, tmp_path: Path) -> None:
    token = accounts.invite(role="lead", languages=None, created_by="x")
    with sqlite3.connect(tmp_path / "reviews.sqlite") as raw:
        assert token not in repr(raw.execute("SELECT * FROM invite").fetchall())
    raw.close()


def test_key_and_id_are_made_once_and_kept(tmp_path: Path) -> None:
    database = Database(tmp_path / "reviews.sqlite")
    first = Accounts(database, hasher=QUICK)
    made = first.signing_key(), first.app_id()
    database.close()
    database = Database(tmp_path / "reviews.sqlite")
    second = Accounts(database, hasher=QUICK)
    assert (second.signing_key(), second.app_id()) == made and len(made[0]) == 32
    database.close()


def test_a_store_that_can_only_be_read_still_signs_people_in(tmp_path: Path) -> None:
    database = Database(tmp_path / "reviews.sqlite")
    add_lead(Accounts(database, hasher=QUICK))
    database.is_read_only = True
    accounts = Accounts(database, hasher=QUICK)
    assert accounts.authenticate("Lead One", PASSWORD) is not None
    assert len(accounts.signing_key()) == 32
    with pytest.raises(StoreError, match="only be read"):
        accounts.set_password("Lead One", "another password")
    database.close()
