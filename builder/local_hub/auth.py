"""Accounts: which token belongs to whom, and what its role allows."""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from builder.local_hub.errors import bad_credentials
from builder.local_hub.storage.names import is_namespace

Role = Literal["read", "write"]
ROLES: tuple[Role, ...] = ("read", "write")
ACCOUNTS_FILE = "accounts.json"
DEFAULT_USER = "demo"
#: Shorter tokens can be guessed over the network.
MIN_TOKEN_CHARS = 16


@dataclass(frozen=True, slots=True)
class Account:
    """The sender of a request: a user, a role and the user's organisations."""

    user: str
    role: Role
    organizations: tuple[str, ...] = ()

    def owns(self, namespace: str) -> bool:
        """Whether repositories of this namespace are the account's own."""
        return namespace == self.user or namespace in self.organizations


class Accounts:
    """Accounts by the hash of their token; tokens themselves are not stored."""

    def __init__(self, by_hash: Mapping[str, Account]) -> None:
        self._by_hash = dict(by_hash)

    @classmethod
    def from_tokens(cls, tokens: Mapping[str, Sequence[str]]) -> "Accounts":
        """Accounts from `{"token": ["user", "write", "an-organisation", …]}`.

        Raises:
            ValueError: For an entry of another shape, or an empty token, which would match
                requests without one; the message never contains a token.
        """
        if any(not token.strip() for token in tokens):
            raise ValueError("a token is empty: make one, for example by `openssl rand -hex 20`")
        return cls({hash_token(token): _account(entry) for token, entry in tokens.items()})

    def identify(self, authorization: str | None) -> Account | None:
        """The account of an `Authorization: Bearer …` header, `None` without a header.

        Raises:
            HubError: 401 if the header is malformed or the token unknown.
        """
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        account = self._by_hash.get(hash_token(token.strip()))
        if scheme.lower() != "bearer" or account is None:
            raise bad_credentials()
        return account


def hash_token(token: str) -> str:
    """SHA-256 of a token. The tokens are long and random, so no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def parse_tokens(text: str) -> dict[str, list[str]]:
    """Reads the `HUB_TOKENS` variable; errors never quote it."""
    try:
        tokens = json.loads(text)
    except json.JSONDecodeError:
        tokens = None
    if not isinstance(tokens, dict) or not tokens:
        raise ValueError('HUB_TOKENS must be JSON like {"token": ["user", "write"]}')
    for entry in tokens.values():
        _account(entry)
    return cast(dict[str, list[str]], tokens)


def load_or_create_accounts(root: Path, user: str | None = None) -> tuple[Accounts, str | None]:
    """The accounts kept under `root`; makes one for `user` where it has none.

    Args:
        root: The storage folder.
        user: None takes whoever is there, and `demo` at the first start.

    Returns:
        The accounts, and the write token of one that was made. It is not stored
        anywhere: the file has only its hash.
    """
    stored = read_private(root / ACCOUNTS_FILE)
    entries = cast(dict[str, list[str]], json.loads(stored)) if stored is not None else {}
    token = None
    if not entries or (user is not None and all(entry[0] != user for entry in entries.values())):
        token = "hub_" + secrets.token_urlsafe(24)
        entries[hash_token(token)] = [user or DEFAULT_USER, "write"]
        write_private(root / ACCOUNTS_FILE, json.dumps(entries).encode())
    return Accounts({key: _account(entry) for key, entry in entries.items()}), token


def _account(entry: object) -> Account:
    if not isinstance(entry, list | tuple) or len(entry) < 2:
        raise ValueError('an account must be ["user", "read" or "write", organisations…]')
    user, role, *organizations = (str(part) for part in cast(Sequence[object], entry))
    if role not in ROLES:
        raise ValueError(f'role must be "read" or "write"; got "{role}" for user "{user}"')
    for name in (user, *organizations):
        if not is_namespace(name):
            raise ValueError(
                f'"{name}" is not a valid user name: use letters, digits, ".", "_", "-"'
            )
    return Account(user, role, tuple(organizations))


def read_private(path: Path) -> bytes | None:
    """The file's bytes, `None` if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_private(path: Path, content: bytes) -> None:
    """Writes a new file with mode 0600, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
