"""`audit` as typed: plan, start, status, close, report."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation_app.cli import make_app
from curation_app.data.version import open_dataset
from curation_app.store import ReviewStore
from curation_app.work.queues import Queues
from schemas.audit import read_audit_report
from schemas.errors import PolysceneError
from schemas.review import ReviewEvent


def audit(*words: str) -> str:
    """Runs `audit …` and returns what it printed; an error is raised."""
    result = CliRunner().invoke(make_app(), ["audit", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def reject_everything(release: Path, store: Path, queue_id: str) -> None:
    version = open_dataset(str(release))
    with ReviewStore(store) as reviews:
        for item in Queues(reviews.database, version.version).items(queue_id):
            row = version.row_of(item.item_id)
            assert row is not None
            reviews.append(
                ReviewEvent(
                    event_id=f"event-{item.item_id}",
                    ts="2026-11-27T12:00:00+00:00",
                    reviewer="noor",
                    dataset_version=version.version,
                    sample_id=item.item_id,
                    content_hash=version.content_hashes([row])[row],
                    kind="verdict",
                    verdict="reject",
                    queue_id=queue_id,
                )
            )


def test_an_audit_from_plan_to_report(release: Path, tmp_path: Path) -> None:
    where = ["--dataset", str(release), "--store", str(tmp_path / "reviews.sqlite")]
    design = ["--num", "8", "--strata", "task_type", "--seed", "3"]
    planned = audit("plan", "--dataset", str(release), *design)
    assert "This takes 8 verdicts: 8 of 32 rows" in planned
    started = audit("start", *where, *design, "--title", "All of it", "--by", "lead")
    found = re.search(r"audit ([0-9a-f]{16}), queue ([0-9a-f]{16})", started)
    assert found is not None
    assert "0 of 8 rows are decided" in audit("status", *where)
    reject_everything(release, tmp_path / "reviews.sqlite", found[2])
    said = audit("status", *where, found[1])
    assert "Done: 8 of 8 rows" in said and "Defect rate: 100 %" in said and "noor: 8" in said
    assert "Done" in audit("close", *where, found[1], "--by", "lead")
    audit("report", *where, found[1], "--output", str(tmp_path / "out"))
    (data,) = (tmp_path / "out").glob("*.json")
    assert read_audit_report(data).figures.num_defects == 8
    assert (tmp_path / "out" / f"audit-{found[1]}.html").is_file()


def test_an_acceptance_plan_says_its_risks(release: Path) -> None:
    said = audit("plan", "-d", str(release), "--good-rate", "0.02", "--bad-rate", "0.3")
    assert "It accepts with" in said and "rejected in" in said


@pytest.mark.parametrize(
    "words",
    [[], ["--num", "5", "--half-width", "0.1"], ["--good-rate", "0.01"]],
)
def test_an_audit_has_one_purpose(release: Path, words: list[str]) -> None:
    with pytest.raises(PolysceneError, match="one purpose"):
        audit("plan", "-d", str(release), *words)


def test_a_value_out_of_bounds_is_named(release: Path) -> None:
    with pytest.raises(PolysceneError, match="half width"):
        audit("plan", "-d", str(release), "--half-width", "3")


def test_a_store_without_audits_says_how_to_begin(release: Path, tmp_path: Path) -> None:
    store = tmp_path / "reviews.sqlite"
    ReviewStore(store).close()
    assert "audit plan" in audit("status", "-d", str(release), "-s", str(store))
    with pytest.raises(PolysceneError, match="no such audit"):
        audit("report", "0" * 16, "-d", str(release), "-s", str(store), "-o", str(tmp_path))
