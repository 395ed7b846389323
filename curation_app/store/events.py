"""The review store: an append-only log of events; an event it has acknowledged is on disk."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from curation_app.store.database import Database, StoreError
from curation_app.store.queues import QueueStore
from schemas.errors import PolysceneError
from schemas.review import ReviewEvent, fold_events, write_events

_INSERT = """
INSERT INTO event (seq, event_id, sample_id, dataset_version, reviewer, kind, undoes, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_STANDING = """
SELECT body FROM event AS e
WHERE {where} AND kind IN ({kinds})
  AND NOT EXISTS (SELECT 1 FROM event AS u WHERE u.undoes = e.event_id)
ORDER BY seq DESC LIMIT 1
"""
_DECISIONS = "'verdict', 'edit', 'skip', 'adjudicate'"
_UNDOABLE = f"{_DECISIONS}, 'flag'"
_LAST = "SELECT seq, json_extract(CAST(body AS TEXT), '$.ts') FROM event ORDER BY seq DESC LIMIT 1"
#: Before any event of a store.
_NO_TIME = "0001-01-01T00:00:00+00:00"


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


class ChangedMeanwhile(PolysceneError):
    """Somebody edited the row after the page had shown it.

    Args:
        edit: The edit that stands; None when it was taken back meanwhile.
    """

    def __init__(self, sample_id: str, edit: ReviewEvent | None) -> None:
        self.sample_id = sample_id
        self.edit = edit
        what = f"{edit.reviewer} edited it" if edit else "an edit was taken back"
        super().__init__(
            f'sample "{sample_id}": {what} after you opened it. '
            "Nothing was stored; look at the change and decide again."
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page showed when its reviewer decided.

    Args:
        own: Event id of the reviewer's own standing decision, "" for none.
        edit: Event id of the standing edit, "" for the published text; None
            where the page hides other people's work.
    """

    own: str
    edit: str | None


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
        self.database = Database(path, must_exist=must_exist)
        self._queues = QueueStore(self.database)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> "ReviewStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, event: ReviewEvent, *, seen: Seen | None = None) -> ReviewEvent:
        """Stores one event and returns it with its `seq`, once it is on disk.

        A retry (same id, same content) returns the stored event. An event with
        a `queue_id` is counted in that queue; the reviewer's lease ends.

        Args:
            event: Its `seq` is ignored; its `ts` does not count as content, and
                becomes no earlier than that of the event before.
            seen: What the page showed; None asks for no such check.

        Raises:
            EventConflict: The id is taken by another event.
            AlreadyDecided: The reviewer's decision that stands is not the one seen.
            ChangedMeanwhile: The edit that stands is not the one seen.
            StoreError: The disk is full or the file cannot be written.
        """
        with self.database.transaction():
            stored = self._find(event.event_id)
            if stored is not None:
                return _same(stored, event)
            if seen is not None:
                self._check_seen(event, seen)
            return self._insert(event)

    def append_all(self, events: Sequence[ReviewEvent]) -> tuple[list[ReviewEvent], int]:
        """Stores events in one transaction, all or none.

        Returns:
            The stored events in the order given, and how many were new.
        """
        stored, num_new = [], 0
        with self.database.transaction():
            for event in events:
                found = self._find(event.event_id)
                num_new += found is None
                stored.append(self._insert(event) if found is None else _same(found, event))
        return stored, num_new

    def undo_last(self, undo: ReviewEvent) -> ReviewEvent | None:
        """Takes back the reviewer's last standing decision or flag on the version.

        Args:
            undo: An undo event; its `sample_id`, `content_hash`, `queue_id` and
                `undoes` are filled in from the event it takes back.

        Returns:
            The stored undo, or None where nothing was left to undo.
        """
        filled_in = {"sample_id", "content_hash", "queue_id", "undoes"}
        with self.database.transaction():
            stored = self._find(undo.event_id)
            if stored is not None:
                return _same(stored, undo.model_copy(update=stored.model_dump(include=filled_in)))
            last = self.last_of(undo.reviewer, undo.dataset_version)
            if last is None:
                return None
            filled = {**last.model_dump(include=filled_in), "undoes": last.event_id}
            return self._insert(undo.model_copy(update=filled))

    def last_of(self, reviewer: str, dataset_version: str) -> ReviewEvent | None:
        """The reviewer's last decision or flag on a version that was not taken back."""
        where = "reviewer = ? AND dataset_version = ?"
        return self._standing(where, (reviewer, dataset_version), _UNDOABLE)

    def standing(
        self, sample_id: str, reviewer: str, *, queue_id: str | None = None
    ) -> ReviewEvent | None:
        """The reviewer's latest decision on a sample that was not taken back.

        Args:
            queue_id: Only decisions made in this queue; None for all.
        """
        where, values = "sample_id = ? AND reviewer = ?", (sample_id, reviewer)
        if queue_id is not None:
            where += " AND json_extract(CAST(body AS TEXT), '$.queue_id') = ?"
            values = (*values, queue_id)
        return self._standing(where, values, _DECISIONS)

    def standing_edit(self, sample_id: str, content_hash: str) -> ReviewEvent | None:
        """The edit whose text stands for a content of a sample; None for the published text."""
        states = fold_events(self.events_of(sample_id))
        state = states.get((sample_id, content_hash))
        return self._find(state.edit_id) if state is not None and state.edit_id else None

    def events(self, *, up_to_seq: int | None = None) -> Iterator[ReviewEvent]:
        """Every event in order of `seq`, as of the time of the call."""
        last = self.last_seq if up_to_seq is None else up_to_seq
        seq = 0
        while rows := self.database.rows(
            "SELECT seq, body FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1000",
            (seq, last),
        ):
            yield from (_parse(body) for _, body in rows)
            seq = rows[-1][0]

    def event(self, event_id: str) -> ReviewEvent | None:
        """One event by its id."""
        return self._find(event_id)

    def events_of(self, sample_id: str) -> list[ReviewEvent]:
        """A sample's events, over all versions, in order of `seq`."""
        rows = self.database.rows(
            "SELECT body FROM event WHERE sample_id = ? ORDER BY seq", (sample_id,)
        )
        return [_parse(body) for (body,) in rows]

    def samples_since(self, seq: int) -> list[str]:
        """Samples that have events after `seq`."""
        rows = self.database.rows("SELECT DISTINCT sample_id FROM event WHERE seq > ?", (seq,))
        return [sample_id for (sample_id,) in rows]

    @property
    def last_seq(self) -> int:
        return self.database.rows("SELECT coalesce(max(seq), 0) FROM event")[0][0]

    def export(self, output: Path) -> int:
        """Writes every event as JSON Lines; the file is whole or as it was before.

        Returns:
            Number of events written.
        """
        return export_events(output, self.events())

    def _check_seen(self, event: ReviewEvent, seen: Seen) -> None:
        standing = self.standing(event.sample_id, event.reviewer)
        if (standing.event_id if standing else "") != seen.own:
            raise AlreadyDecided(event.sample_id, standing)
        if seen.edit is None or event.kind in {"skip", "flag"}:
            return
        edit = self.standing_edit(event.sample_id, event.content_hash)
        if (edit.event_id if edit else "") != seen.edit:
            raise ChangedMeanwhile(event.sample_id, edit)

    def _insert(self, event: ReviewEvent) -> ReviewEvent:
        last_seq, last_ts = (self.database.rows(_LAST) or [(0, _NO_TIME)])[0]
        stored = event.model_copy(
            update={"seq": last_seq + 1, "ts": max(event.ts, last_ts, key=datetime.fromisoformat)}
        )
        self.database.execute(
            _INSERT,
            (
                stored.seq,
                stored.event_id,
                stored.sample_id,
                stored.dataset_version,
                stored.reviewer,
                stored.kind,
                stored.undoes,
                orjson.dumps(stored.model_dump(mode="json")),
            ),
        )
        self._queues.count_event(stored)
        return stored

    def _find(self, event_id: str) -> ReviewEvent | None:
        rows = self.database.rows("SELECT body FROM event WHERE event_id = ?", (event_id,))
        return _parse(rows[0][0]) if rows else None

    def _standing(self, where: str, values: tuple[str, ...], kinds: str) -> ReviewEvent | None:
        rows = self.database.rows(_STANDING.format(where=where, kinds=kinds), values)
        return _parse(rows[0][0]) if rows else None


def export_events(output: Path, events: Iterator[ReviewEvent]) -> int:
    """Writes events as JSON Lines; the file is whole or as it was before.

    Returns:
        Number of events written.

    Raises:
        StoreError: The file cannot be written.
    """
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        num_events = write_events(part, events)
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


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
