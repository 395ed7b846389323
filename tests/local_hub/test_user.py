"""`hub --user me`: the account is made where there is none, and its token shown once."""

from pathlib import Path

import pytest

from builder.local_hub import HubStartError, serve
from builder.local_hub.auth import load_or_create_accounts


def user_of(root: Path, token: str) -> str:
    account = load_or_create_accounts(root)[0].identify(f"Bearer {token}")
    assert account is not None and account.role == "write"
    return account.user


def test_the_first_start_makes_the_account_that_is_named(tmp_path: Path) -> None:
    _, token = load_or_create_accounts(tmp_path, "me")
    assert token is not None and user_of(tmp_path, token) == "me"
    assert load_or_create_accounts(tmp_path, "me")[1] is None
    assert load_or_create_accounts(tmp_path)[1] is None  # nor one for `demo` beside it


def test_another_user_gets_an_account_beside_the_first(tmp_path: Path) -> None:
    _, first = load_or_create_accounts(tmp_path)
    _, second = load_or_create_accounts(tmp_path, "me")
    assert first is not None and second is not None
    assert user_of(tmp_path, first) == "demo"
    assert user_of(tmp_path, second) == "me"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(second.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("name", ["", "a/b", "me me", "..", "datasets", "-x", "é", "x" * 97])
def test_a_name_nobody_can_have_is_refused_before_anything_is_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUB_TOKENS", raising=False)
    with pytest.raises(HubStartError, match="not a valid user name"):
        serve(tmp_path / "hub", port=0, user=name)
    assert not (tmp_path / "hub").exists()


def test_accounts_from_the_environment_and_a_user_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_TOKENS", '{"t0ken": ["ann", "write"]}')
    with pytest.raises(HubStartError, match="HUB_TOKENS already names the accounts") as caught:
        serve(tmp_path, port=0, user="me")
    assert "t0ken" not in str(caught.value)
