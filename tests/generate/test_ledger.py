"""Group commits, other versions, damage, and disks that fill up."""

import asyncio
import os
import resource
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from builder.ledger.ledger import Ledger, LedgerError
from builder.ledger.tables import SCHEMA, Outcome, SentRequest
from builder.ledger.writer import LedgerWriter
from tests.generate.processes import start_process


def outcome(number: int, reason: str | None = None, provenance: bytes = b"{}") -> Outcome:
    return Outcome(
        job_id=f"{number:024x}",
        round=0,
        index=number,
        task_type="vqa",
        modality="IT->T",
        language="fr",
        sample_id=None if reason else f"{1000 - number:024x}",
        reason=reason,
        request_hash="hash",
        sample=None if reason else b"{}",
        provenance=None if reason else provenance,
    )


async def add(writer: LedgerWriter, outcome: Outcome) -> None:
    writer.outcome(outcome)
    await writer.flush()


def test_rows_added_together_share_commits_and_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"

    async def scenario() -> None:
        with Ledger(path, create=True) as ledger:
            writer = LedgerWriter(ledger, lambda error: None)
            await asyncio.gather(*(add(writer, outcome(n)) for n in range(500)))
            with Ledger(path) as other:
                assert sum(other.tried_counts().values()) == 500
            await writer.close()

    asyncio.run(scenario())


def test_what_was_posted_is_committed_on_closing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"

    async def scenario() -> None:
        with Ledger(path, create=True) as ledger:
            writer = LedgerWriter(ledger, lambda error: None)
            for number in range(2_500):
                writer.outcome(outcome(number, "refusal" if number % 5 == 0 else None))
            await writer.close()

    asyncio.run(scenario())
    with Ledger(path) as ledger:
        assert ledger.drop_counts() == {"refusal": 500}
        assert ledger.accepted_counts() == {("vqa", "IT->T", "fr"): 2_000}
        ids = [row[0] for row in ledger.kept_in_job_order()]
        assert ids == sorted(ids)


def test_a_reply_is_found_by_the_key_of_its_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        with Ledger(tmp_path / "ledger.sqlite", create=True) as ledger:
            writer = LedgerWriter(ledger, lambda error: None)
            number = writer.take_request_id()
            writer.request(
                SentRequest(number, "key", "job", "sample", "prompt", "Seed: 1", None, "m")
            )
            await writer.flush()
            assert ledger.find_reply("key") is None
            assert ledger.find_request("key") == number
            writer.reply(number, 200, b"\xff raw")
            await writer.flush()
            stored = ledger.find_reply("key")
            assert stored is not None
            assert (stored.raw, stored.is_counted) == (b"\xff raw", False)
            writer.usage(number, 10, 20, 0.5)
            await writer.flush()
            stored = ledger.find_reply("key")
            assert stored is not None
            assert stored.is_counted
            assert ledger.spent().cost_usd == 0.5
            await writer.close()

    asyncio.run(scenario())


def test_another_version_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path, create=True).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=9")
    database.close()
    with pytest.raises(LedgerError, match=r"ledger version 9.*Use the release"):
        Ledger(path)


@pytest.mark.parametrize("num_statements", range(1, 10))
def test_a_ledger_whose_making_was_cut_off_is_made_whole(
    tmp_path: Path, num_statements: int
) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as database:
        for statement in SCHEMA.split(";")[:num_statements]:
            database.execute(statement)
    database.close()
    with Ledger(path, create=True) as ledger:
        assert ledger.spent().num_requests == 0
        assert ledger.rounds() == ledger.open_batches("teacher") == []
    Ledger(path).close()


def test_a_database_of_another_program_is_not_taken_for_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    database.close()
    with pytest.raises(LedgerError, match="ledger version 0"):
        Ledger(path, create=True)


def test_a_file_that_is_no_ledger_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(LedgerError, match="not a readable ledger"):
        Ledger(path)
    with pytest.raises(LedgerError, match="no such ledger"):
        Ledger(tmp_path / "missing.sqlite")


def test_little_space_stops_sending_while_rows_still_fit(tmp_path: Path) -> None:
    troubles: list[LedgerError] = []

    async def scenario() -> None:
        with Ledger(tmp_path / "ledger.sqlite", create=True) as ledger:
            writer = LedgerWriter(ledger, troubles.append, lambda _: 10 * 2**20)
            await add(writer, outcome(1))
            await writer.close()
            assert sum(ledger.tried_counts().values()) == 1

    asyncio.run(scenario())
    assert "10 MB of disk space left" in str(troubles[0])
    assert "Free some space" in str(troubles[0])


def test_a_full_disk_keeps_what_was_committed_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    # A limit on file size stands for a full disk; only the child has it.
    child = start_process(_fill_up, path)
    child.join(60)
    assert child.exitcode == 0
    with Ledger(path) as ledger:
        kept = sum(ledger.tried_counts().values())
    assert 0 < kept < 2_000


def _fill_up(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    told: list[LedgerError] = []

    async def scenario() -> bool:
        ledger = Ledger(path, create=True)
        writer = LedgerWriter(ledger, told.append)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
        try:
            for start in range(0, 2_000, 20):
                numbers = range(start, start + 20)
                outcomes = (outcome(n, provenance=os.urandom(1_000)) for n in numbers)
                await asyncio.gather(*(add(writer, each) for each in outcomes))
        except LedgerError as exc:
            return "no space left to write" in str(exc) and len(told) > 0
        return False

    sys.exit(0 if asyncio.run(scenario()) else 2)


def test_a_ledger_made_before_models_were_noted_opens_and_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, create=True) as ledger:
        ledger.db.execute("ALTER TABLE request DROP COLUMN model")
        ledger.db.execute(
            "INSERT INTO request (id, key, job_id, kind, prompt_hash, parameters) "
            "VALUES (1, 'old', 'job', 'sample', 'prompt', 'Seed: 1')"
        )
        ledger.db.execute("INSERT INTO reply VALUES (1, 200, x'00')")

    async def scenario() -> None:
        with Ledger(path) as ledger:
            writer = LedgerWriter(ledger, lambda error: None)
            writer.request(SentRequest(2, "new", "job", "sample", "prompt", "Seed: 1", None, "m"))
            writer.reply(2, 200, b"")
            await writer.flush()
            sent = ledger.answered_requests("job", "sample")
            assert [(entry.key, entry.model) for entry in sent] == [("old", None), ("new", "m")]
            await writer.close()

    asyncio.run(scenario())
