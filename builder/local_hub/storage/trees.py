"""Folder listings, each named by the hash of its entries, as in git.

A commit points at the listing of its root folder. Unchanged folders keep their
hash, so two versions of a large repository share nearly all rows.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from builder.local_hub.errors import bad_request, entry_not_found

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or a folder where `sha256` is `None`.

    `oid` is the git hash: of the content, of the pointer for an LFS file, or of the listing.
    """

    oid: str
    size: int = 0
    sha256: str | None = None
    is_lfs: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.sha256 is None


def read_tree(connection: sqlite3.Connection, oid: str) -> dict[str, Entry]:
    """One folder's entries by name, sorted."""
    rows = connection.execute(
        "SELECT name, oid, size, sha256, is_lfs FROM tree_entries WHERE tree = ? ORDER BY name",
        (oid,),
    )
    return {row["name"]: _entry(row) for row in rows}


def find(connection: sqlite3.Connection, root: str, path: str) -> Entry | None:
    """The file or folder at `path`; the empty path is the root folder."""
    entry = Entry(root)
    for segment in path.split("/") if path else ():
        if not entry.is_folder:
            return None
        row = connection.execute(
            "SELECT oid, size, sha256, is_lfs FROM tree_entries WHERE tree = ? AND name = ?",
            (entry.oid, segment),
        ).fetchone()
        if row is None:
            return None
        entry = _entry(row)
    return entry


def walk(
    connection: sqlite3.Connection, tree: str, prefix: str = "", *, recursive: bool = True
) -> Iterator[tuple[str, Entry]]:
    """Paths and entries below a folder, each folder before its entries."""
    for name, entry in read_tree(connection, tree).items():
        path = f"{prefix}/{name}" if prefix else name
        yield path, entry
        if recursive and entry.is_folder:
            yield from walk(connection, entry.oid, path)


@dataclass(slots=True)
class _Folder:
    entries: dict[str, "Entry | _Folder"] = field(default_factory=dict)


class TreeEdit:
    """Changes to a tree, kept in memory until `write`; only touched folders are read."""

    def __init__(self, connection: sqlite3.Connection, root: str) -> None:
        self._connection = connection
        self._root = self._load(root)

    def put(self, path: str, entry: Entry) -> None:
        """Adds or replaces a file.

        Raises:
            HubError: 400 if a folder has that name, or a parent folder's name is a file.
        """
        *parents, name = path.split("/")
        folder = self._root
        for depth, parent in enumerate(parents, start=1):
            child = self._open(folder, parent)
            if child is None:
                child = folder.entries[parent] = _Folder()
            if not isinstance(child, _Folder):
                raise bad_request(f"'{'/'.join(parents[:depth])}' is a file, not a folder")
            folder = child
        if isinstance(self._open(folder, name), _Folder):
            raise bad_request(f"'{path}' is a folder, not a file")
        folder.entries[name] = entry

    def remove(self, path: str, *, folder: bool) -> None:
        """Removes a file or a whole folder.

        Raises:
            HubError: 404 if there is none of that kind. The words "A file with this name
                doesn't exist" are what the client looks for.
        """
        *parents, name = path.split("/")
        trail = [self._root]
        for parent in parents:
            child = self._open(trail[-1], parent)
            if not isinstance(child, _Folder):
                raise _missing(path)
            trail.append(child)
        target = self._open(trail[-1], name)
        if target is None or isinstance(target, _Folder) is not folder:
            raise _missing(path)
        del trail[-1].entries[name]
        for parent, holder in zip(reversed(parents), reversed(trail[:-1]), strict=True):
            child = holder.entries[parent]
            if isinstance(child, _Folder) and not child.entries:
                del holder.entries[parent]  # git knows no empty folders

    def write(self) -> str:
        """Stores the changed listings and returns the root's hash."""
        return self._write(self._root)

    def _load(self, oid: str) -> _Folder:
        return _Folder(dict(read_tree(self._connection, oid)))

    def _open(self, folder: _Folder, name: str) -> Entry | _Folder | None:
        child = folder.entries.get(name)
        if isinstance(child, Entry) and child.is_folder:
            child = folder.entries[name] = self._load(child.oid)
        return child

    def _write(self, folder: _Folder) -> str:
        entries = {
            name: Entry(self._write(child)) if isinstance(child, _Folder) else child
            for name, child in folder.entries.items()
        }
        oid = tree_oid(entries)
        self._connection.executemany(
            "INSERT OR IGNORE INTO tree_entries VALUES (?, ?, ?, ?, ?, ?)",
            [(oid, n, e.oid, e.size, e.sha256, e.is_lfs) for n, e in entries.items()],
        )
        return oid


def tree_oid(entries: dict[str, Entry]) -> str:
    """The hash that names a folder with these entries.

    It is git's own, except that an LFS file's SHA-256 is included, so that a pointer
    committed as plain text differs from the file that it points to.
    """
    records = []
    for name, entry in entries.items():
        raw = name.encode()
        mode = b"40000" if entry.is_folder else b"100644"
        order = raw + b"/" if entry.is_folder else raw
        digest = entry.oid + (entry.sha256 or "") * entry.is_lfs
        records.append((order, mode + b" " + raw + b"\0" + bytes.fromhex(digest)))
    body = b"".join(record for _, record in sorted(records))
    return hashlib.sha1(b"tree %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(row["oid"], row["size"], row["sha256"], bool(row["is_lfs"]))


def _missing(path: str) -> Exception:
    error = entry_not_found(path)
    error.message = f"A file with this name doesn't exist: {path}"
    return error
