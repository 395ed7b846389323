"""Accounts and invitations in the store: names, roles, languages, hashes of passwords and links."""

import hashlib
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import orjson

from command_line.extras import require
from curation_app.store.database import Database
from schemas.errors import PolysceneError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_PASSWORD_CHARS = 10
MAX_PASSWORD_CHARS = 1_024
INVITE_DAYS = 7
_KEY_BYTES = 32
_COLUMNS = "name, role, languages, password_hash, generation, is_active, created_ts"


class AccountError(PolysceneError):
    """An account or invitation cannot be made, changed or used."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account.

    Args:
        languages: Codes of the languages they read; None for all.
        generation: Raised by a new password or a deactivation; sessions of an
            older generation have ended.
    """

    name: str
    role: str
    languages: frozenset[str] | None
    password_hash: str
    generation: int
    is_active: bool
    created_ts: str


@dataclass(frozen=True, slots=True)
class Invite:
    """What somebody was invited to be; `expires` is in seconds since 1970."""

    role: str
    languages: frozenset[str] | None
    created_by: str
    expires: float


class Accounts:
    """The accounts of one store. Passwords are kept as argon2id hashes, links as SHA-256.

        accounts.add("Reviewer 1", role="lead", languages=None, password=password)
        account = accounts.authenticate("reviewer 1", password)

    Args:
        database: The store's file.
        clock: Seconds since 1970.
        hasher: Of passwords; when None, argon2id as RFC 9106 recommends it second.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        hasher: "PasswordHasher | None" = None,
    ) -> None:
        self._db = database
        self._clock = clock
        self._given_hasher = hasher

    def exist(self) -> bool:
        """Whether the store has any account, active or not: then everybody signs in."""
        return bool(self._db.rows("SELECT 1 FROM account LIMIT 1"))

    def all(self) -> list[Account]:
        """Every account by name, the deactivated too."""
        return [
            _account(row) for row in self._db.rows(f"SELECT {_COLUMNS} FROM account ORDER BY name")
        ]

    def get(self, name: str) -> Account | None:
        """The account of a name, whatever its capitals."""
        if not name.isprintable():  # nor would SQLite take half a character
            return None
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM account WHERE name = ?", (name,))
        return _account(rows[0]) if rows else None

    def add(
        self, name: str, *, role: str, languages: frozenset[str] | None, password: str
    ) -> Account:
        """Makes an account.

        Args:
            name: As the events will carry it; cleaned by the caller.

        Raises:
            AccountError: The name is taken, the password too short or too long, or
                it would be the first account and not a lead's.
        """
        password_hash = self._hash(name, password)
        with self._db.transaction():
            return self._insert(name, role, languages, password_hash)

    def set_password(self, name: str, password: str) -> None:
        """Sets a new password and signs the person out everywhere.

        Raises:
            AccountError: There is no such account, or the password is too short or too long.
        """
        self._change(
            name, "password_hash = ?, generation = generation + 1", self._hash(name, password)
        )

    def set_active(self, name: str, is_active: bool) -> None:
        """Lets a person in again, or signs them out everywhere and lets them in no more.

        Raises:
            AccountError: There is no such account, or it is the last active lead's.
        """
        with self._db.transaction():
            if not is_active:
                self._check_not_last_lead(name)
            self._change(name, "is_active = ?, generation = generation + 1", int(is_active))

    def set_role(self, name: str, role: str) -> None:
        """Gives a person another role.

        Raises:
            AccountError: There is no such account, or it is the last active lead's.
        """
        with self._db.transaction():
            if role != "lead":
                self._check_not_last_lead(name)
            self._change(name, "role = ?", role)

    def set_languages(self, name: str, languages: frozenset[str] | None) -> None:
        """Says which languages a person reads; None for all.

        Raises:
            AccountError: There is no such account.
        """
        self._change(name, "languages = ?", _dump(languages))

    def authenticate(self, name: str, password: str) -> Account | None:
        """The active account that name and password belong to.

        Takes as long for a name that nobody has as for a wrong password.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        account = self.get(name)
        known = account.password_hash if account else self._hash_of_nobody
        try:
            self._hasher.verify(known, _normal(password[:MAX_PASSWORD_CHARS]))
        except (VerificationError, InvalidHashError):
            return None
        if account is None or not account.is_active:
            return None
        if self._hasher.check_needs_rehash(account.password_hash) and not self._db.is_read_only:
            new_hash = self._hasher.hash(_normal(password))
            self._change(account.name, "password_hash = ?", new_hash)
        return account

    def invite(
        self,
        *,
        role: str,
        languages: frozenset[str] | None,
        created_by: str,
        days: float = INVITE_DAYS,
    ) -> str:
        """Makes an invitation for one use and returns its token; the store keeps a hash of it."""
        token = secrets.token_urlsafe(24)
        self._db.execute(
            "INSERT INTO invite (token_hash, role, languages, created_by, expires) "
            "VALUES (?, ?, ?, ?, ?)",
            (_token_hash(token), role, _dump(languages), created_by, self._clock() + days * 86_400),
        )
        return token

    def invitation(self, token: str) -> Invite | None:
        """The invitation of a token; None where it was used, has expired or never was."""
        rows = self._db.rows(
            "SELECT role, languages, created_by, expires FROM invite "
            "WHERE token_hash = ? AND used_by IS NULL AND expires > ?",
            (_token_hash(token), self._clock()),
        )
        if not rows:
            return None
        role, languages, created_by, expires = rows[0]
        return Invite(role, _load(languages), created_by, expires)

    def accept(self, token: str, *, name: str, password: str) -> Account:
        """Makes the account an invitation is for; the invitation is used up with it.

        Raises:
            AccountError: The invitation cannot be used, the name is taken, or
                the password too short or too long.
        """
        if self.invitation(token) is None:
            raise AccountError(_NO_INVITE)
        password_hash = self._hash(name, password)
        with self._db.transaction():
            invite = self.invitation(token)
            if invite is None:
                raise AccountError(_NO_INVITE)
            account = self._insert(name, invite.role, invite.languages, password_hash)
            self._db.execute(
                "UPDATE invite SET used_by = ? WHERE token_hash = ?", (name, _token_hash(token))
            )
        return account

    def revoke_invitations(self) -> int:
        """Ends every invitation that was not used; how many there were."""
        return self._db.execute(
            "UPDATE invite SET expires = 0 WHERE used_by IS NULL AND expires > ?", (self._clock(),)
        )

    def signing_key(self) -> bytes:
        """The key that sessions are signed with: made once, kept with the store."""
        return self._setting("session_key", lambda: secrets.token_bytes(_KEY_BYTES))

    def app_id(self) -> str:
        """Eight hexadecimal digits that tell this store's cookies from another's on one host."""
        return self._setting("app_id", lambda: secrets.token_hex(4).encode()).decode()

    def _setting(self, name: str, make: Callable[[], bytes]) -> bytes:
        find = "SELECT value FROM setting WHERE name = ?"
        rows = self._db.rows(find, (name,))
        if rows:
            return bytes(rows[0][0])
        if self._db.is_read_only:
            return make()
        with self._db.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO setting (name, value) VALUES (?, ?)", (name, make())
            )
            return bytes(self._db.rows(find, (name,))[0][0])

    def _insert(
        self, name: str, role: str, languages: frozenset[str] | None, password_hash: str
    ) -> Account:
        folded = name.casefold()
        if any(
            taken.casefold() == folded for (taken,) in self._db.rows("SELECT name FROM account")
        ):
            raise AccountError(f"{name}: this name is taken. Choose another one.")
        if role != "lead" and not self.exist():
            raise AccountError(
                f"{name}: the first account must be a lead's, so that somebody can see to people "
                "and audits. Add a lead first: `people add NAME --role lead`."
            )
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
        self._db.execute(
            f"INSERT INTO account ({_COLUMNS}) VALUES (?, ?, ?, ?, 0, 1, ?)",
            (name, role, _dump(languages), password_hash, now),
        )
        return Account(name, role, languages, password_hash, 0, True, now)

    def _change(self, name: str, assignment: str, value: object) -> None:
        """Changes one account; `assignment` is SQL of this module, never a user's words."""
        if not self._db.execute(f"UPDATE account SET {assignment} WHERE name = ?", (value, name)):
            raise no_account(name)

    def _check_not_last_lead(self, name: str) -> None:
        leads = [
            account.name for account in self.all() if account.role == "lead" and account.is_active
        ]
        if [lead.casefold() for lead in leads] == [name.casefold()]:
            raise AccountError(
                f"{name}: the only active lead. Make another lead first, "
                "so that somebody can still see to people and audits."
            )

    def _hash(self, name: str, password: str) -> str:
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise AccountError(
                f"The password must have {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS:,} characters."
            )
        if password.casefold() == name.casefold():
            raise AccountError("The password must not be the name.")
        return self._hasher.hash(_normal(password))

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        require("app", "argon2")
        from argon2 import PasswordHasher

        return self._given_hasher or PasswordHasher()

    @cached_property
    def _hash_of_nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(16))


def no_account(name: str) -> AccountError:
    """The error for a name that nobody has."""
    return AccountError(f"{name}: no such account. `people list` shows those there are.")


_NO_INVITE = (
    "This invitation was used, has expired or never was. Ask whoever sent it for a new link."
)


def _account(row: tuple) -> Account:
    name, role, languages, password_hash, generation, is_active, created_ts = row
    return Account(
        name, role, _load(languages), password_hash, generation, bool(is_active), created_ts
    )


def _dump(languages: frozenset[str] | None) -> str | None:
    return None if languages is None else orjson.dumps(sorted(languages)).decode()


def _load(languages: str | None) -> frozenset[str] | None:
    return None if languages is None else frozenset(orjson.loads(languages))


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _normal(password: str) -> bytes:
    """The password's bytes, the same whether a keyboard composes its letters or not."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace")
