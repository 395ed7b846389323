"""Make, move, list and delete repositories; check who may read and change them."""

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import Literal

from builder.local_hub.auth import Account
from builder.local_hub.errors import (
    bad_request,
    conflict,
    forbidden,
    repo_not_found,
    sign_in_needed,
)
from builder.local_hub.storage.database import utc_now
from builder.local_hub.storage.names import check_repo_name

RepoKind = Literal["dataset", "model"]
REPO_KINDS: tuple[RepoKind, ...] = ("dataset", "model")


@dataclass(frozen=True, slots=True)
class Repo:
    """One repository: its row in the database."""

    row_id: int
    kind: RepoKind
    namespace: str
    name: str
    private: bool
    created_at: str

    @property
    def id(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def web_path(self) -> str:
        """The path of its page, without a leading slash: datasets have a prefix."""
        return f"datasets/{self.id}" if self.kind == "dataset" else self.id

    @property
    def opaque_id(self) -> str:
        """The `_id` in the Hub's answers: 24 hex digits."""
        return hashlib.sha256(f"{self.row_id}".encode()).hexdigest()[:24]


def parse_kind(kind: object) -> RepoKind:
    """The kind in a request's `type`; the Hub's default is a model."""
    if kind is None:
        return "model"
    for known in REPO_KINDS:
        if kind == known:
            return known
    raise bad_request(f"This Hub keeps datasets and models only; got type {kind!r}")


def open_repo(
    connection: sqlite3.Connection,
    kind: RepoKind,
    namespace: str,
    name: str,
    account: Account | None,
    *,
    write: bool = False,
    propose: bool = False,
) -> Repo:
    """The repository, if the account may read it, change it with `write`, or `propose` a change.

    Raises:
        HubError: 401 or 404 if it is absent or must look absent, 401 or 403 if it is
            visible but not the account's to change.
    """
    row = connection.execute(
        "SELECT * FROM repos WHERE kind = ? AND namespace = ? AND name = ?",
        (kind, namespace, name),
    ).fetchone()
    is_owner = account is not None and account.owns(namespace)
    if row is None or (row["private"] and not is_owner):
        raise repo_not_found(is_anonymous=account is None)
    if write:
        check_may_write(account, namespace)
    if propose:
        check_may_propose(account)
    return _repo(row)


def check_may_propose(account: Account | None) -> None:
    """Refuses an account that may not open discussions and pull requests.

    Raises:
        HubError: 401 without an account, 403 for a read token.
    """
    if account is None:
        raise sign_in_needed()
    if account.role != "write":
        raise forbidden('This token is read-only: a token with the role "write" is needed')


def check_may_write(account: Account | None, namespace: str) -> None:
    """Refuses an account that may not change this namespace's repositories.

    Raises:
        HubError: 401 without an account, 403 for a read token or another account's namespace.
    """
    if account is None:
        raise sign_in_needed()
    if not account.owns(namespace):
        raise forbidden(f'You don\'t have the rights to write under the namespace "{namespace}"')
    if account.role != "write":
        raise forbidden('This token is read-only: a token with the role "write" is needed')


def create_repo(
    connection: sqlite3.Connection, kind: RepoKind, namespace: str, name: str, *, private: bool
) -> Repo:
    """A new empty repository; the caller gives it a first commit.

    Raises:
        HubError: 409 if the name is taken.
    """
    check_repo_name(name)
    if _taken_by(connection, kind, namespace, name) is not None:
        raise conflict(f"You already created this {kind} repo")
    cursor = connection.execute(
        "INSERT INTO repos (kind, namespace, name, private, created_at) VALUES (?, ?, ?, ?, ?)",
        (kind, namespace, name, private, utc_now()),
    )
    row = connection.execute("SELECT * FROM repos WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return _repo(row)


def delete_repo(connection: sqlite3.Connection, repo: Repo) -> None:
    """Forgets a repository with its commits and references."""
    connection.execute("DELETE FROM repos WHERE id = ?", (repo.row_id,))


def move_repo(connection: sqlite3.Connection, repo: Repo, namespace: str, name: str) -> None:
    """Renames a repository.

    Raises:
        HubError: 409 if the new name is taken by another.
    """
    check_repo_name(name)
    if _taken_by(connection, repo.kind, namespace, name) not in (None, repo.row_id):
        raise conflict(f"{namespace}/{name} exists already, perhaps in other letter case")
    connection.execute(
        "UPDATE repos SET namespace = ?, name = ? WHERE id = ?", (namespace, name, repo.row_id)
    )


def _taken_by(
    connection: sqlite3.Connection, kind: RepoKind, namespace: str, name: str
) -> int | None:
    """Whose row has the name, letter case aside: names become folders on the clients' disks."""
    row = connection.execute(
        "SELECT id FROM repos WHERE kind = ? AND lower(namespace) = ? AND lower(name) = ?",
        (kind, namespace.lower(), name.lower()),
    ).fetchone()
    return row["id"] if row else None


def set_private(connection: sqlite3.Connection, repo: Repo, private: bool) -> None:
    """Shows or hides a repository."""
    connection.execute("UPDATE repos SET private = ? WHERE id = ?", (private, repo.row_id))


def list_repos(
    connection: sqlite3.Connection, kind: RepoKind, account: Account | None
) -> list[Repo]:
    """All repositories of a kind that the account may read, by name."""
    rows = connection.execute(
        "SELECT * FROM repos WHERE kind = ? ORDER BY namespace, name", (kind,)
    )
    repos = [_repo(row) for row in rows]
    return [
        repo
        for repo in repos
        if not repo.private or (account is not None and account.owns(repo.namespace))
    ]


def _repo(row: sqlite3.Row) -> Repo:
    return Repo(
        row["id"],
        parse_kind(row["kind"]),
        row["namespace"],
        row["name"],
        bool(row["private"]),
        row["created_at"],
    )
