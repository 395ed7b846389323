"""A release takes reviews from stores and exports, as they happened, and says what it left out."""

import json
import re
from pathlib import Path

import pytest

from builder import cli
from builder.release import Version, open_inputs, release
from builder.release.inputs import ReleaseError
from builder.release.review_sources import newer_reviews
from builder.workspace import Workspace
from curation_app.store import ReviewStore
from schemas.errors import PolysceneError
from schemas.manifest import read_manifest
from schemas.review import ReviewEvent, write_events
from tests.release.small_workspace import kept_samples, review

MORNING, EVENING = "2026-05-04T09:00:00.000+00:00", "2026-05-04T17:00:00.000+00:00"


def made(workspace: Workspace, *sources: Path) -> dict:
    with open_inputs(workspace, sources) as inputs:
        result = release(inputs, Version.parse("0.1.0"), workspace.releases_dir)
    return json.loads((result.directory / "quality.json").read_text())


def store_with(path: Path, *events: ReviewEvent) -> Path:
    with ReviewStore(path) as store:
        store.append_all(events)
    return path


def test_the_store_itself_is_a_source(copy: Workspace, tmp_path: Path) -> None:
    reject = review(kept_samples(copy)[0], 1, verdict="reject", reasons=["other"])
    quality = made(copy, store_with(tmp_path / "reviews.sqlite", reject))
    assert quality["reviews"]["num_rejected"] == 1


def test_of_two_stores_the_later_act_stands(copy: Workspace, tmp_path: Path) -> None:
    sample = kept_samples(copy)[0]
    early = review(sample, 900, verdict="reject").model_copy(update={"ts": MORNING})
    late = review(sample, 1, verdict="accept").model_copy(
        update={"ts": EVENING, "event_id": "late-00001"}
    )
    joined = tmp_path / "joined.jsonl"
    write_events(joined, [early, late])
    assert made(copy, joined)["reviews"]["num_accepted"] == 1


def test_a_flagged_row_is_held_back_until_somebody_decides(copy: Workspace, tmp_path: Path) -> None:
    first, second = kept_samples(copy)[:2]
    events = [
        review(first, 1, kind="flag"),
        review(second, 2, kind="flag"),
        review(second, 3, verdict="accept"),
    ]
    quality = made(copy, store_with(tmp_path / "reviews.sqlite", *events))
    assert quality["reviews"]["num_flagged"] == 1
    assert quality["drops"]["release"]["flagged_in_review"] == 1


def test_a_leads_verdict_outranks_votes_and_the_least_number_of_reviews(
    copy: Workspace, tmp_path: Path
) -> None:
    copy.config_path.write_text(
        copy.config_path.read_text() + "\nrelease:\n  min_reviews_to_reject: 3\n"
        if "release:" not in copy.config_path.read_text()
        else copy.config_path.read_text().replace(
            "min_reviews_to_reject: 1", "min_reviews_to_reject: 3"
        )
    )
    sample = kept_samples(copy)[0]
    final = review(sample, 1, kind="adjudicate", verdict="reject")
    assert made(copy, store_with(tmp_path / "r.sqlite", final))["reviews"]["num_rejected"] == 1


def test_newer_verdicts_are_reported(copy: Workspace, tmp_path: Path) -> None:
    first, second = kept_samples(copy)[:2]
    store = store_with(tmp_path / "reviews.sqlite", review(first, 1, verdict="accept"))
    export = tmp_path / "reviews.jsonl"
    with ReviewStore(store) as opened:
        opened.export(export)
        taken = list(opened.events())
        assert newer_reviews(copy, [export], taken) is None
        opened.append(review(second, 2, verdict="reject"))
    assert newer_reviews(copy, [export], taken) == (store, 1)
    assert newer_reviews(copy, [store], taken) == (store, 1)


def test_the_command_takes_several_sources_and_says_what_is_newer(
    copy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    first, second = kept_samples(copy)[:2]
    store = store_with(tmp_path / "a.sqlite", review(first, 1, verdict="accept"))
    export = tmp_path / "a.jsonl"
    with ReviewStore(store) as opened:
        opened.export(export)
        opened.append(review(second, 2, verdict="reject"))
    other = store_with(
        tmp_path / "b.sqlite",
        review(second, 5, verdict="reject").model_copy(update={"event_id": "other-0001"}),
    )
    arguments = ["release", "-w", str(copy.root), "--version", "0.1.0"]
    sources = ["--reviews", str(export), "--reviews", str(other)]
    monkeypatch.setattr("sys.argv", ["builder", *arguments, *sources])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "1 newer review events that are not in this version" in capsys.readouterr().err


def test_a_file_that_holds_no_reviews_is_refused(copy: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"nowhere\.sqlite: no such file"):
        made(copy, tmp_path / "nowhere.sqlite")
    other = tmp_path / "other.sqlite"
    import sqlite3

    sqlite3.connect(other).execute("CREATE TABLE list (item TEXT)").connection.close()
    with pytest.raises(PolysceneError, match=r"other\.sqlite: not a review store"):
        made(copy, other)


def test_a_damaged_report_in_a_store_is_one_clear_error(copy: Workspace, tmp_path: Path) -> None:
    store = store_with(tmp_path / "reviews.sqlite", review(kept_samples(copy)[0], 1, kind="flag"))
    with ReviewStore(store) as opened:
        opened.database.execute(
            "INSERT INTO audit VALUES ('a', 'q', '{}', 'lead', 't', 't', '{not json')"
        )
    with pytest.raises(PolysceneError, match=r"reviews\.sqlite: not an audit report"):
        made(copy, store)


def test_events_by_kind_add_up_to_their_total_in_the_card(copy: Workspace, tmp_path: Path) -> None:
    first, second, third = kept_samples(copy)[:3]
    events = [
        review(first, 1, verdict="accept"),
        review(first, 2, verdict="reject", reasons=["other"]),
        review(second, 3, kind="flag"),
        review(second, 4, verdict="accept"),
        review(third, 5, kind="skip"),
        review(third, 6, kind="edit", edits={"instruction": "Find the picture that fits."}),
    ]
    quality = made(copy, store_with(tmp_path / "reviews.sqlite", *events))
    by_kind = quality["reviews"]["num_by_kind"]
    assert by_kind == {"verdict": 3, "edit": 1, "flag": 1, "skip": 1}
    assert sum(by_kind.values()) == quality["reviews"]["num_events"] == 6
    directory = copy.releases_dir / "0.1.0"
    assert read_manifest(directory).reviews.num_by_kind == by_kind
    card = (directory / "README.md").read_text(encoding="utf-8")
    said = re.search(r"(\d+) review events \(([^)]+)\)", card)
    assert said is not None
    assert int(said[1]) == sum(int(num) for num in re.findall(r"\d+", said[2])) == 6
    assert "3 verdicts, 1 edit, 1 flag, 1 skip" in said[2]
