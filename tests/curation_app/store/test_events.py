"""The review store keeps every acknowledged event, once, under any number of writers."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curation_app.store import (
    AlreadyDecided,
    ChangedMeanwhile,
    EventConflict,
    ReviewStore,
    Seen,
    StoreError,
)
from schemas.review import ReviewEvent, fold_events, read_events

#: A page that showed the published text, undecided.
UNSEEN = Seen("", "")

WRITER = """
import sys
from pathlib import Path
from curation_app.store import ReviewStore
from tests.curation_app.store.test_events import event

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
        first = store.append(event("event-001"), seen=UNSEEN)
        retry = event("event-001", ts="2026-11-23T10:00:09.000+00:00", ms_active=900)
        assert store.append(retry, seen=UNSEEN) == first
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
        store.append(event("event-001"), seen=UNSEEN)
        with pytest.raises(AlreadyDecided, match="already decided in another window") as refused:
            store.append(event("event-002", verdict="reject"), seen=UNSEEN)
        assert refused.value.standing is not None
        assert refused.value.standing.event_id == "event-001"
        store.append(event("event-003", verdict="reject"), seen=Seen("event-001", None))
        store.append(event("event-004", reviewer="reviewer-2"), seen=UNSEEN)
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
    with pytest.raises(StoreError, match="store version 99, this program reads up to 2"):
        ReviewStore(path)


def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        store.append(event("event-001"))
        pages = store.database.rows("PRAGMA page_count")[0][0]
        store.database.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"full\. Nothing was stored; free space"):
            for number in range(500):
                store.append(event(f"later-{number:04d}", note="x" * 1500))
        stored = list(store.events())
        assert [entry.seq for entry in stored] == list(range(1, len(stored) + 1))
        assert stored[0].event_id == "event-001"


def test_nobody_overwrites_or_approves_a_text_they_did_not_see(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        edits = {"instruction": "Find it."}
        store.append(event("edit-0001", kind="edit", edits=edits), seen=UNSEEN)
        stale_edit = event("edit-0002", reviewer="reviewer-2", kind="edit", edits=edits)
        for stale in (event("event-001", reviewer="reviewer-2"), stale_edit):
            with pytest.raises(ChangedMeanwhile, match="reviewer-1 edited it") as refused:
                store.append(stale, seen=UNSEEN)
            assert refused.value.edit is not None
            assert refused.value.edit.event_id == "edit-0001"
        store.append(event("event-002", reviewer="reviewer-2"), seen=Seen("", "edit-0001"))
        store.undo_last(event("undo-0001", kind="undo", verdict=None))
        with pytest.raises(ChangedMeanwhile, match="an edit was taken back"):
            store.append(event("event-003", reviewer="reviewer-3"), seen=Seen("", "edit-0001"))


def test_undo_takes_a_flag_back(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        store.append(event("flag-0001", kind="flag", verdict=None, note="blurred?"))
        assert store.undo_last(event("undo-0001", kind="undo", verdict=None)).undoes == "flag-0001"
        assert fold_events(store.events()) == {}


def test_time_never_runs_backwards_in_a_store(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        store.append(event("event-001", ts="2026-11-23T12:00:00.000+02:00"))
        later = store.append(event("event-002", ts="2026-11-23T09:00:00.000+00:00"))
        assert later.ts == "2026-11-23T12:00:00.000+02:00"


def test_a_store_of_version_1_is_brought_over_with_its_events(tmp_path: Path) -> None:
    path = tmp_path / "reviews.sqlite"
    with ReviewStore(path) as store:
        store.append(event("event-001"))
    db = sqlite3.connect(path)
    old = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in old:
        if name != "event":
            db.execute(f"DROP TABLE {name}")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    with ReviewStore(path) as store:
        assert [stored.event_id for stored in store.events()] == ["event-001"]
        assert store.database.rows("SELECT count(*) FROM queue") == [(0,)]


def test_a_store_that_cannot_be_written_is_still_read(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "reviews.sqlite"
    with ReviewStore(path) as store:
        store.append(event("event-001"))
    # Root may write whatever the mode says, so the answer of the system is changed, not the mode.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with ReviewStore(path, must_exist=True) as store:
        assert [stored.event_id for stored in store.events()] == ["event-001"]
        assert store.export(tmp_path / "reviews.jsonl") == 1
        with pytest.raises(StoreError, match=r"can only be read here, so nothing was stored"):
            store.append(event("event-002"))
