"""What every request handler works with: accounts, database, contents, limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.local_hub.auth import Accounts
from builder.local_hub.storage.blobs import BlobStore
from builder.local_hub.storage.database import Database
from builder.local_hub.tickets import TicketOffice, load_or_create_key

DATABASE_FILE = "hub.sqlite3"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in bytes, and in numbers of entries."""

    lfs_above_bytes: int = 5 << 20
    part_bytes: int = 64 << 20
    max_parts: int = 10_000
    json_bytes: int = 16 << 20
    commit_bytes: int = 1 << 30
    inline_bytes: int = 10 << 20
    max_operations: int = 100_000
    page_entries: int = 1000


@dataclass(frozen=True, slots=True)
class Hub:
    """An opened storage folder and the accounts that may use it."""

    accounts: Accounts
    database: Database
    blobs: BlobStore
    tickets: TicketOffice
    limits: Limits


def open_hub(
    root: Path,
    tokens: Mapping[str, Sequence[str]] | Accounts,
    limits: Limits | None = None,
) -> Hub:
    """Opens the storage under `root`, and makes it if it is new.

    Deletes half-written uploads of an earlier process, and contents that no repository
    refers to any longer; so only one process may open a folder.

    Args:
        root: The folder; made with mode 0700 if absent.
        tokens: `{"token": ["user", "write"]}`, or accounts made from that.
        limits: Sizes to use instead of the defaults, for tests.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    accounts = tokens if isinstance(tokens, Accounts) else Accounts.from_tokens(tokens)
    database = Database(root / DATABASE_FILE)
    database.open()
    blobs = BlobStore(root)
    blobs.open()
    with database.read() as connection:
        contents = connection.execute("SELECT DISTINCT sha256 FROM repo_blobs").fetchall()
        repos = connection.execute("SELECT id FROM repos").fetchall()
    blobs.prune({row["sha256"] for row in contents}, {row["id"] for row in repos})
    tickets = TicketOffice(load_or_create_key(root))
    return Hub(accounts, database, blobs, tickets, limits or Limits())
