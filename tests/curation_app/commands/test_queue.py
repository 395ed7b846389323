"""Queues on the command line: items out, decisions in, disagreements settled."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from curation_app.cli import make_app
from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from curation_app.store.queues import QueueItem
from curation_app.work.queues import Queues
from schemas.review import fold_events


@pytest.fixture
def queue(dataset: VersionDataset, tmp_path: Path) -> tuple[str, Path]:
    """A queue of four rows, two reviewers each; its id and its store."""
    store = tmp_path / "reviews.sqlite"
    with ReviewStore(store) as reviews:
        items = [QueueItem(dataset.sample_id(row), "en") for row in range(4)]
        made = Queues(reviews.database, dataset.version).create(
            title="four", origin="filter", items=items, created_by="lead", overlap=2
        )
    return made.queue_id, store


def run(*arguments: object) -> str:
    done = CliRunner().invoke(make_app(), [str(argument) for argument in arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def decisions(path: Path, items: list[str], rejected: set[int]) -> Path:
    lines = [
        {"sample_id": item, "verdict": "reject", "reasons": ["other"], "note": "scripted"}
        if index in rejected
        else {"sample_id": item, "verdict": "accept"}
        for index, item in enumerate(items)
    ]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


def test_a_queue_is_decided_settled_and_closed_by_scripts(
    queue: tuple[str, Path], release: Path, tmp_path: Path
) -> None:
    queue_id, store = queue
    source = ("--dataset", release, "--store", store)
    shown = tmp_path / "items.jsonl"
    assert "4 samples" in run("queue", "items", queue_id, *source, "--output", shown)
    items = [orjson.loads(line)["id"] for line in shown.read_bytes().splitlines()]
    for name, rejected in (("one", {0, 1}), ("two", {1})):
        lines = decisions(tmp_path / f"{name}.jsonl", items, rejected)
        run("record", lines, *source, "--reviewer", name, "--queue", queue_id)
    listed = run("queue", "list", *source)
    assert queue_id in listed
    settled = run("queue", "settle", queue_id, *source, "--by", "lead")
    assert "with 1 samples" in settled
    final = decisions(tmp_path / "final.jsonl", items[:1], set())
    adjudication = settled.split()[2]
    run("record", final, *source, "--reviewer", "lead", "--queue", adjudication)
    with ReviewStore(store) as reviews:
        states = fold_events(reviews.events())
    accepted = {sample_id for (sample_id, _), state in states.items() if state.is_accepted}
    assert accepted == {items[0], items[2], items[3]}
    assert "nothing to settle" in run("queue", "settle", queue_id, *source, "--by", "lead")
    run("queue", "close", queue_id, *source)
    with ReviewStore(store) as reviews:
        assert [made.closed_ts is None for made in _all(reviews)] == [False, True]


def _all(store: ReviewStore):
    return Queues(store.database, "0.1.0").all(include_closed=True)


def test_a_second_run_of_recorded_votes_stores_nothing_twice(
    queue: tuple[str, Path], release: Path, dataset: VersionDataset, tmp_path: Path
) -> None:
    queue_id, store = queue
    source = ("--dataset", release, "--store", store, "--reviewer", "one", "--queue", queue_id)
    lines = decisions(tmp_path / "d.jsonl", [dataset.sample_id(row) for row in range(4)], {2})
    run("record", lines, *source)
    assert "4 of them stored before" in run("record", lines, *source)
    with ReviewStore(store) as reviews:
        assert reviews.last_seq == 4
        assert len(Queues(reviews.database, "0.1.0").votes(queue_id)) == 4
