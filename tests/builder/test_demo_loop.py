"""The whole loop, small: killed during its build, run again, and what it leaves.

It runs in a directory that is not the repository, and in an environment that
leads away from its own servers.
"""

from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.manifest import read_manifest
from schemas.vocabulary import MODALITIES
from tests.builder.running_demo import start_demo, wait_until
from tests.builder.test_demo_environment import LEADS_AWAY

pytestmark = pytest.mark.demo

Summary = dict[str, Any]
SIZE = ("--num-samples", "400", "--steps", "3")
STAGES = ("images", "build", "publish", "review", "rollback", "train")


def test_the_loop_runs_to_its_end_though_it_was_killed_on_the_way(tmp_path: Path) -> None:
    """One test, so that it runs once however the tests are shared among workers."""
    root = tmp_path / "demo"
    environment = {**LEADS_AWAY, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment["OMP_NUM_THREADS"] = "1"  # threads that wait for one another starve beside others
    killed = start_demo(root, *SIZE, environment=environment)
    try:
        wait_until((root / "planted.jsonl").exists, timeout_s=120)  # replies come in
    finally:
        killed.kill()  # and nothing that it started
        killed.wait()
    rerun = start_demo(root, *SIZE, environment=environment)
    try:
        code = rerun.wait(timeout=600)
    finally:
        rerun.kill()
    assert code == 0, (tmp_path / "demo.log").read_text(encoding="utf-8")[-5_000:]
    summary = orjson.loads((root / "summary.json").read_bytes())
    assert_it_went_on_where_it_was(summary)
    assert_it_made_a_dataset_of_every_kind(summary)
    assert_both_versions_load_cold_and_streamed_and_differ(summary)
    assert_the_audited_rate_is_in_the_next_card(summary, root)
    assert_a_version_was_pulled_and_restored_elsewhere(summary, root)
    assert_training_was_measured(summary, root)


def assert_it_went_on_where_it_was(summary: Summary) -> None:
    assert summary["resumed"] == ["build"]
    seconds = summary["seconds"]
    assert tuple(seconds) == (*STAGES, "total")
    assert all(value > 0 for value in seconds.values())
    assert seconds["total"] == pytest.approx(sum(seconds[stage] for stage in STAGES))


def assert_it_made_a_dataset_of_every_kind(summary: Summary) -> None:
    assert 380 <= summary["num_samples"] <= 400
    assert len(summary["languages"]) >= 85
    assert set(summary["modalities"]) == set(MODALITIES)
    assert sum(summary["num_dropped"].values()) > 0
    reviews = summary["reviews"]
    assert reviews["reviewer"] == "scripted-reviewer"
    assert reviews["num_accepted"] > 300
    assert 0 < reviews["num_edited"] + reviews["num_rejected"] < 40
    assert sum(counts["planted"] for counts in summary["mistakes"].values()) > 10
    assert all(counts["left_in"] == 0 for counts in summary["mistakes"].values())


def assert_the_audited_rate_is_in_the_next_card(summary: Summary, root: Path) -> None:
    audit = summary["audit"]
    num_rows = read_manifest(root / "workspace/releases/0.1.0").num_samples
    assert audit["version"] == "0.1.0"
    assert audit["num_decided"] == num_rows // 4
    assert audit["num_reviewers"] == 2
    assert audit["seeds"]["decided"] == num_rows // 20
    assert audit["seeds"]["found"] >= 0.8 * audit["seeds"]["decided"]  # two who each miss 15 %
    overall = audit["overall"]
    assert 0 <= overall["low"] <= overall["rate"] <= overall["high"] < 0.2
    card = (root / "workspace/releases/0.2.0/README.md").read_text(encoding="utf-8")
    shown = f"{overall['rate']:.1%} ({overall['low']:.1%} to {overall['high']:.1%}, 95%)"
    assert f"| 0.1.0 | Version 0.1.0 | {num_rows // 4} | 2 | {shown} |" in card
    assert list((root / "audit").glob("audit-*.html"))


def assert_both_versions_load_cold_and_streamed_and_differ(summary: Summary) -> None:
    releases = summary["releases"]
    assert [release["tag"] for release in releases] == ["v0.1.0", "v0.2.0"]
    assert releases[0]["commit"] != releases[1]["commit"]
    first, second = summary["loaded"]
    for loaded, release in zip((first, second), releases, strict=True):
        assert loaded["revision"] == release["tag"]
        assert loaded["num_rows"] > 150
        assert loaded["first_image_px"] == [128, 128]
        assert loaded["streamed"] == {name: loaded[name] for name in loaded["streamed"]}
    assert first["rows_sha256"] != second["rows_sha256"]


def assert_a_version_was_pulled_and_restored_elsewhere(summary: Summary, root: Path) -> None:
    rolled_back, (first, _) = summary["rolled_back"], summary["loaded"]
    assert rolled_back["release"]["tag"] == "v0.2.1"
    assert rolled_back["num_differing_rows"] == 0
    assert rolled_back["loaded"]["revision"] == "v0.2.1"
    assert rolled_back["loaded"]["rows_sha256"] == first["rows_sha256"]
    assert not (root / "cold_cache").exists()
    # What `make app` opens and the training read is the reviewed version.
    releases = {path.name for path in (root / "workspace" / "releases").iterdir()}
    assert releases == {"0.1.0", "0.2.0"}
    training = orjson.loads((root / "training" / "compare_config.json").read_bytes())
    assert training["versions"] == ["demo/pictograms@0.2.0"]


def assert_training_was_measured(summary: Summary, root: Path) -> None:
    recall = summary["recall_at_10"]
    assert recall["multilingual"] > recall["untrained"]
    for arm in ("untrained", "english_only", "multilingual"):
        low, high = recall["seed_interval"][arm]
        assert low <= recall[arm] <= high
        assert "en" in recall["per_language"][arm]
    assert recall["seeds"] == [0, 1, 2]
    assert recall["num_candidates"] > 30
    for plot in ("training/recall.png", "versions/recall.png", "model/curves.png"):
        assert (root / plot).read_bytes().startswith(b"\x89PNG"), plot
    assert 0 < recall["heads"] <= 1 and 0 < recall["lora"] <= 1
    # English against all languages, then one version against the other.
    assert len(summary["compared"]) >= 2
