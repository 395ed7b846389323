"""The review store keeps every acknowledged event, once, under any number of writers."""

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curation_app.store import AlreadyDecided, EventConflict, ReviewStore, StoreError
from schemas.review import ReviewEvent, fold_events, read_events

WRITER = """
import sys
from pathlib import Path
from curation_app.store import ReviewStore
from tests.curation_app.test_store import event

name, count = sys.argv[2], int(sys.argv[3])
with ReviewStore(Path(sys.argv[1])) as store:
    for index in range(count):
        stored = store.append(event(f"{name}-event-{index:05d}", reviewer=name))
        print(stored.event_id, flush=True)
"""


def event(event_id: str, **changes: object) -> ReviewEvent:
    fields: dict[str, object] = {
        "event_id": event_id,
        "ts": "2026-11-23T10:00:00.000+00:00",
        "reviewer": "reviewer-1",
        "dataset_version": "0.1.0",
        "sample_id": "0" * 24,
        "content_hash": "c" * 64,
        "kind": "verdict",
        "verdict": "accept",
    }
    return ReviewEvent.model_validate({**fields, **changes})


def writer(store: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(store), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_eight_processes_lose_no_event(tmp_path: Path) -> None:
    path = tmp_path / "reviews.sqlite"
    writers = [writer(path, f"reviewer-{number}", 50) for number in range(8)]
    acknowledged = {line for process in writers for line in process.communicate()[0].splitlines()}
    assert [process.returncode for process in writers] == [0] * 8
    with ReviewStore(path) as store:
        events = list(store.events())
    assert {stored.event_id for stored in events} == acknowledged
    assert [stored.seq for stored in events] == list(range(1, 401))


def test_kill_9_loses_no_acknowledged_event(tmp_path: Path) -> None:
    path = tmp_path / "reviews.sqlite"
    acknowledged: set[str] = set()
    for round_number in range(3):
        process = writer(path, f"round-{round_number}", 100_000)
        assert process.stdout is not None
        for _ in range(20 + 17 * round_number):
            acknowledged.add(process.stdout.readline().strip())
        time.sleep(0.01 * round_number)
        process.send_signal(signal.SIGKILL)
        acknowledged.update(process.communicate()[0].split())
    with ReviewStore(path) as store:
        events = list(store.events())
    kept = {stored.event_id for stored in events}
    assert {name for name in acknowledged if len(name) > 18} <= kept
    assert [stored.seq for stored in events] == list(range(1, len(events) + 1))


def test_a_retry_stores_nothing_twice(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        first = store.append(event("event-001"), seen="")
        retry = event("event-001", ts="2026-11-23T10:00:09.000+00:00", ms_active=900)
        assert store.append(retry, seen="") == first
        assert store.last_seq == 1


def test_an_id_taken_by_other_content_is_refused(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        store.append(event("event-001"))
        with pytest.raises(EventConflict, match=r'event "event-001".*new event id'):
            store.append(event("event-001", verdict="reject"))
        with pytest.raises(EventConflict):
            store.append_all([event("event-002"), event("event-001", note="other")])
        assert store.last_seq == 1


def test_a_second_window_overwrites_nothing(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        store.append(event("event-001"), seen="")
        with pytest.raises(AlreadyDecided, match="already decided in another window") as refused:
            store.append(event("event-002", verdict="reject"), seen="")
        assert refused.value.standing is not None
        assert refused.value.standing.event_id == "event-001"
        store.append(event("event-003", verdict="reject"), seen="event-001")
        store.append(event("event-004", reviewer="reviewer-2"), seen="")
        assert [stored.event_id for stored in store.events()] == [
            "event-001",
            "event-003",
            "event-004",
        ]


def test_undo_takes_back_the_last_standing_decision_and_keeps_every_event(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        store.append(event("event-001"))
        store.append(event("event-002", sample_id="1" * 24, verdict="reject"))
        store.append(event("event-003", reviewer="reviewer-2"))
        undo = event("undo-0001", kind="undo", verdict=None)
        assert store.undo_last(undo).undoes == "event-002"
        assert store.undo_last(undo).undoes == "event-002"  # a retry
        assert store.undo_last(event("undo-0002", kind="undo", verdict=None)).undoes == "event-001"
        assert store.undo_last(event("undo-0003", kind="undo", verdict=None)) is None
        events = list(store.events())
    assert len(events) == 5
    assert [list(state.verdicts) for state in fold_events(events).values()] == [["reviewer-2"]]


def test_events_are_never_changed_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "reviews.sqlite"
    with ReviewStore(path) as store:
        store.append(event("event-001"))
    db = sqlite3.connect(path)
    for statement in ("DELETE FROM event", "UPDATE event SET reviewer = 'else'"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            db.execute(statement)
    db.close()


def test_export_reads_back_as_stored(tmp_path: Path) -> None:
    output = tmp_path / "reviews.jsonl"
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        texts = {"instruction": "Find it.", "negative_texts": ["כבאית", "‮abc"]}
        store.append(event("event-001", kind="edit", edits=texts, note="第一"))
        store.append(event("event-002", verdict="reject", reasons=["other"], note="ـ"))
        assert store.export(output) == 2
        assert list(read_events(output)) == list(store.events())
    assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name) == []


def test_a_failed_export_says_what_to_do(tmp_path: Path) -> None:
    with (
        ReviewStore(tmp_path / "reviews.sqlite") as store,
        pytest.raises(StoreError, match="cannot write the export: No such file"),
    ):
        store.export(tmp_path / "nowhere" / "reviews.jsonl")


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("a shopping list, not a database" * 40)
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE list (item TEXT)")
    db.close()
    before = other.read_bytes()
    with pytest.raises(StoreError, match=r"notes\.txt: file is not a database"):
        ReviewStore(text)
    with pytest.raises(StoreError, match=r"other\.sqlite: not a review store"):
        ReviewStore(other)
    assert other.read_bytes() == before
    with pytest.raises(StoreError, match="no review store there"):
        ReviewStore(tmp_path / "none.sqlite", must_exist=True)


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reviews.sqlite"
    ReviewStore(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="store version 99, this program reads 1"):
        ReviewStore(path)


def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        store.append(event("event-001"))
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"full\. Nothing was stored; free space"):
            for number in range(500):
                store.append(event(f"later-{number:04d}", note="x" * 1500))
        stored = list(store.events())
        assert [entry.seq for entry in stored] == list(range(1, len(stored) + 1))
        assert stored[0].event_id == "event-001"
