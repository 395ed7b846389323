"""The commands about serving and people, as typed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation_app.cli import make_app
from curation_app.commands.options import find_dataset, find_store
from curation_app.store.accounts import Accounts
from curation_app.store.database import Database
from schemas.errors import PolysceneError

pytest.importorskip("argon2", reason="accounts need the extra `app`")

PASSWORD = "correct horse battery"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "reviews.sqlite"


@pytest.fixture
def accounts(store: Path) -> Iterator[Accounts]:
    database = Database(store)
    yield Accounts(database)
    database.close()


def people(store: Path, *words: str, typed: str = "") -> str:
    """Runs `people …` and returns what it printed; an error is raised."""
    result = CliRunner().invoke(
        make_app(), ["people", *words, "--store", str(store)], input=typed, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_an_account_is_made_listed_changed_and_deactivated(store: Path, accounts: Accounts) -> None:
    assert "everybody may review" in people(store, "list")
    stdin = ["--password-stdin"]
    people(store, "add", "Lead", "--role", "lead", *stdin, typed=f"{PASSWORD}\n")
    people(store, "add", "  R   One ", "--languages", "ar, fa", *stdin, typed=f"{PASSWORD}\r\n")
    assert accounts.authenticate("R One", PASSWORD) is not None
    assert people(store, "list") == "Lead  lead  all languages\nR One  reviewer  ar, fa\n"
    assert "R One is a lead, all languages" in people(
        store, "change", "R One", "--role", "lead", "--languages", ""
    )
    people(store, "password", "r one", *stdin, typed="another password")
    assert accounts.authenticate("R One", "another password") is not None
    people(store, "deactivate", "R One")
    assert "(deactivated)" in people(store, "list")
    people(store, "activate", "R One")
    assert accounts.authenticate("R One", "another password") is not None


def test_a_typed_password_is_asked_twice_and_not_shown(store: Path, accounts: Accounts) -> None:
    typed = f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n"
    shown = people(store, "add", "Lead", "--role", "lead", typed=typed)
    assert shown.count("Password") >= 2 and PASSWORD not in shown
    assert accounts.authenticate("Lead", PASSWORD) is not None


def test_an_invitation_is_a_link_below_the_address_given(store: Path, accounts: Accounts) -> None:
    url = "https://review.example.org/review/"
    printed = people(store, "invite", "--languages", "ar", "--url", url).splitlines()
    assert printed[0].startswith("https://review.example.org/review/invite/")
    invite = accounts.invitation(printed[0].rpartition("/")[2])
    assert invite is not None and invite.languages == frozenset({"ar"})
    assert people(store, "revoke-invites") == "people: 1 invitations ended\n"
    assert accounts.invitation(printed[0].rpartition("/")[2]) is None
    assert people(store, "revoke-invites") == "people: 0 invitations ended\n"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["add", "Lead", "--role", "admin"], "no such role"),
        (["add", "\u202eLead"], "not a name"),
        (["add", "Lead", "--languages", "xx-klingon"], "unknown language"),
        (["add", "R"], "first account must be a lead"),
        (["change", "Nobody"], "no such account"),
        (["deactivate", "Nobody"], "no such account"),
    ],
)
def test_what_cannot_be_done_is_said(
    store: Path, accounts: Accounts, words: list[str], what: str
) -> None:
    assert not accounts.exist()
    if words[0] == "add":
        words = [*words, "--password-stdin"]
    with pytest.raises(PolysceneError, match=what):
        people(store, *words, typed=f"{PASSWORD}\n")
    assert not accounts.exist()


def test_no_password_is_ever_an_argument() -> None:
    for command in ("add", "password"):
        shown = CliRunner().invoke(make_app(), ["people", command, "--help"]).output
        assert "--password-stdin" in shown and "--password " not in shown


@pytest.mark.parametrize(
    "option",
    [
        ["--host", "0.0.0.0"],
        ["--proxy", "127.0.0.1"],
        ["--allow-host", "review.example.org"],
        ["--root-path", "/review"],
    ],
)
def test_others_are_not_let_in_before_there_is_an_account(
    store: Path, release: Path, option: list[str]
) -> None:
    command = [sys.executable, "-m", "curation_app", "serve", "--dataset", str(release)]
    command += ["--store", str(store), "--port", "0", *option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr and done.stdout == ""
    assert "people add NAME --role lead" in done.stderr and "--no-accounts" in done.stderr


def test_a_workspace_stands_for_its_newest_release_and_its_own_store(
    tmp_path: Path, release: Path
) -> None:
    workspace = tmp_path / "workspace"
    (workspace / "releases").mkdir(parents=True)
    with pytest.raises(PolysceneError, match="no release yet"):
        find_dataset(str(workspace))
    for number in ("0.9.0", "0.10.0"):
        (workspace / "releases" / number).symlink_to(release)
    (workspace / "releases" / "0.11.0").mkdir()
    assert find_dataset(str(workspace)) == str(workspace / "releases" / "0.10.0")
    assert find_store(None, str(workspace)) == workspace / "reviews.sqlite"
    assert find_store(workspace, None) == workspace / "reviews.sqlite"
    assert find_store(tmp_path / "a.sqlite", str(workspace)) == tmp_path / "a.sqlite"
    assert find_dataset(str(release)) == str(release)
    assert find_dataset("demo/pictograms@0.1.0") == "demo/pictograms@0.1.0"
    assert find_store(None, "demo/pictograms@0.1.0") == Path("reviews.sqlite")
