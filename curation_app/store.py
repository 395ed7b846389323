"""The review store: an append-only SQLite log; an event it has acknowledged is on disk."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import orjson

from schemas.errors import PolysceneError
from schemas.review import ReviewEvent, write_events

#: Raised by one whenever the tables change shape.
STORE_VERSION = 1
_APPLICATION_ID = 0x706F6C79  # "poly": tells our files from other SQLite files
_BUSY_TIMEOUT_S = 30.0

_TABLES = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    sample_id TEXT NOT NULL,
    dataset_version TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    kind TEXT NOT NULL,
    undoes TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX event_of_sample ON event (sample_id, seq);
CREATE INDEX event_of_reviewer ON event (reviewer, dataset_version, seq);
CREATE INDEX event_undone ON event (undoes) WHERE undoes IS NOT NULL;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_is_never_removed BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
"""

_INSERT = """
INSERT INTO event (seq, event_id, sample_id, dataset_version, reviewer, kind, undoes, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_STANDING = """
SELECT body FROM event AS e
WHERE {where} AND kind IN ('verdict', 'edit', 'skip')
  AND NOT EXISTS (SELECT 1 FROM event AS u WHERE u.undoes = e.event_id)
ORDER BY seq DESC LIMIT 1
"""


class StoreError(PolysceneError):
    """The review store is missing, unreadable, full, or of another version."""


class EventConflict(PolysceneError):
    """An event id is taken by an event of other content."""


class AlreadyDecided(PolysceneError):
    """The reviewer's own decision on the sample is not the one the page showed.

    Args:
        standing: The decision that stands; None when it was taken back meanwhile.
    """

    def __init__(self, sample_id: str, standing: ReviewEvent | None) -> None:
        self.sample_id = sample_id
        self.standing = standing
        what = (standing.verdict or standing.kind) if standing else "taken back"
        super().__init__(
            f'sample "{sample_id}": already decided in another window ({what}). '
            "Nothing was overwritten; look at it again and decide anew if you must."
        )


class ReviewStore:
    """Review events in one SQLite file on a local disk; safe for many threads and processes.

    Args:
        path: The file; made with its folder unless `must_exist`.
        must_exist: Raise instead of making a new store.

    Raises:
        StoreError: The file cannot be opened or is no review store of this version.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        self.path = path
        self._lock = RLock()
        if must_exist and not path.exists():
            raise StoreError(f"{path}: no review store there. Name one that reviewing has made.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StoreError(f"{path}: cannot make its folder: {exc.strerror}.") from exc
        with self._errors():
            self._db = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def __enter__(self) -> "ReviewStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, event: ReviewEvent, *, seen: str | None = None) -> ReviewEvent:
        """Stores one event and returns it with its `seq`, once it is on disk.

        A retry (same id, same content) returns the stored event.

        Args:
            event: Its `seq` is ignored; its `ts` does not count as content.
            seen: Id of the reviewer's own standing decision on the sample as
                the page showed it, "" for none; None asks for no such check.

        Raises:
            EventConflict: The id is taken by another event.
            AlreadyDecided: The decision that stands is not the one seen.
            StoreError: The disk is full or the file cannot be written.
        """
        with self._transaction():
            stored = self._find(event.event_id)
            if stored is not None:
                return _same(stored, event)
            if seen is not None:
                standing = self.standing(event.sample_id, event.reviewer)
                if (standing.event_id if standing else "") != seen:
                    raise AlreadyDecided(event.sample_id, standing)
            return self._insert(event)

    def append_all(self, events: Sequence[ReviewEvent]) -> tuple[list[ReviewEvent], int]:
        """Stores events in one transaction, all or none.

        Returns:
            The stored events in the order given, and how many were new.
        """
        stored, num_new = [], 0
        with self._transaction():
            for event in events:
                found = self._find(event.event_id)
                num_new += found is None
                stored.append(self._insert(event) if found is None else _same(found, event))
        return stored, num_new

    def undo_last(self, undo: ReviewEvent) -> ReviewEvent | None:
        """Takes back the reviewer's last standing decision on the version.

        Args:
            undo: An undo event; its `sample_id`, `content_hash` and `undoes`
                are filled in from the decision it takes back.

        Returns:
            The stored undo, or None where nothing was left to undo.
        """
        with self._transaction():
            stored = self._find(undo.event_id)
            if stored is not None:
                filled = stored.model_dump(include={"sample_id", "content_hash", "undoes"})
                return _same(stored, undo.model_copy(update=filled))
            last = self._standing(
                "reviewer = ? AND dataset_version = ?", (undo.reviewer, undo.dataset_version)
            )
            if last is None:
                return None
            filled = {
                "sample_id": last.sample_id,
                "content_hash": last.content_hash,
                "undoes": last.event_id,
            }
            return self._insert(undo.model_copy(update=filled))

    def standing(self, sample_id: str, reviewer: str) -> ReviewEvent | None:
        """The reviewer's latest decision on a sample that was not taken back."""
        return self._standing("sample_id = ? AND reviewer = ?", (sample_id, reviewer))

    def events(self, *, up_to_seq: int | None = None) -> Iterator[ReviewEvent]:
        """Every event in order of `seq`, as of the time of the call."""
        last = self.last_seq if up_to_seq is None else up_to_seq
        seq = 0
        while rows := self._rows(
            "SELECT seq, body FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1000",
            (seq, last),
        ):
            yield from (_parse(body) for _, body in rows)
            seq = rows[-1][0]

    def events_of(self, sample_id: str) -> list[ReviewEvent]:
        """A sample's events, over all versions, in order of `seq`."""
        rows = self._rows("SELECT body FROM event WHERE sample_id = ? ORDER BY seq", (sample_id,))
        return [_parse(body) for (body,) in rows]

    def samples_since(self, seq: int) -> list[str]:
        """Samples that have events after `seq`."""
        rows = self._rows("SELECT DISTINCT sample_id FROM event WHERE seq > ?", (seq,))
        return [sample_id for (sample_id,) in rows]

    @property
    def last_seq(self) -> int:
        return self._rows("SELECT coalesce(max(seq), 0) FROM event")[0][0]

    def export(self, output: Path) -> int:
        """Writes every event as JSON Lines; the file is whole or as it was before.

        Returns:
            Number of events written.
        """
        part = output.with_name(f".{output.name}.{os.getpid()}.part")
        try:
            num_events = write_events(part, self.events())
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(output)
            _sync_folder(output.parent)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise StoreError(
                f"{output}: cannot write the export: {exc.strerror}. "
                "The store is untouched; free space or name another file."
            ) from exc
        return num_events

    def _prepare(self) -> None:
        if not self._is_ours():
            self._db.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                if not self._is_ours():  # another process may have been first
                    for statement in _statements(_TABLES):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    self._db.execute(f"PRAGMA user_version = {STORE_VERSION}")
        self._db.execute("PRAGMA synchronous = FULL")

    def _is_ours(self) -> bool:
        """Whether the file holds our tables; False where it is still empty."""
        owner, version, num_tables = self._db.execute(
            "SELECT (SELECT application_id FROM pragma_application_id), "
            "(SELECT user_version FROM pragma_user_version), "
            "(SELECT count(*) FROM sqlite_master)"
        ).fetchone()
        if not num_tables:
            return False
        if owner != _APPLICATION_ID:
            raise StoreError(f"{self.path}: not a review store. Name another file.")
        if version != STORE_VERSION:
            raise StoreError(
                f"{self.path}: store version {version}, this program reads {STORE_VERSION}. "
                "Export it with the release of polyscene that made it."
            )
        return True

    def _insert(self, event: ReviewEvent) -> ReviewEvent:
        seq = self._db.execute("SELECT coalesce(max(seq), 0) + 1 FROM event").fetchone()[0]
        stored = event.model_copy(update={"seq": seq})
        self._db.execute(
            _INSERT,
            (
                seq,
                stored.event_id,
                stored.sample_id,
                stored.dataset_version,
                stored.reviewer,
                stored.kind,
                stored.undoes,
                orjson.dumps(stored.model_dump(mode="json")),
            ),
        )
        return stored

    def _find(self, event_id: str) -> ReviewEvent | None:
        rows = self._rows("SELECT body FROM event WHERE event_id = ?", (event_id,))
        return _parse(rows[0][0]) if rows else None

    def _standing(self, where: str, values: tuple[str, ...]) -> ReviewEvent | None:
        rows = self._rows(_STANDING.format(where=where), values)
        return _parse(rows[0][0]) if rows else None

    def _rows(self, query: str, values: Iterable[object] = ()) -> list[tuple]:
        with self._lock, self._errors():
            return self._db.execute(query, tuple(values)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One writer at a time; what it wrote is on disk when the block has ended."""
        with self._lock, self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as exc:
            raise StoreError(
                f"{self.path}: {exc}. Nothing was stored; "
                "free space or check the file, then try again."
            ) from exc


def _parse(body: bytes) -> ReviewEvent:
    return ReviewEvent.model_validate(orjson.loads(body))


def _same(stored: ReviewEvent, event: ReviewEvent) -> ReviewEvent:
    """The stored event, if the other one is a retry of it."""
    ignored = {"seq", "ts", "ms_active"}
    if stored.model_dump(exclude=ignored) != event.model_dump(exclude=ignored):
        raise EventConflict(
            f'event "{event.event_id}": stored before with other content (seq {stored.seq}). '
            "Give a new decision a new event id."
        )
    return stored


def _statements(script: str) -> Iterator[str]:
    """Statements of a script; `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
