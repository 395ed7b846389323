"""The preview of the next release counts what the release then does."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from curation_app.data.release_policy import ReleasePolicy, read_release_policy
from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from curation_app.work.desk import ReviewDesk
from curation_app.work.next_release import NextRelease, preview_next_release
from schemas.text_rules import TextRulesConfig
from tests.curation_app.store.test_events import event


def act(dataset: VersionDataset, row: int, number: int, **changes: object):
    loaded = dataset.load(row)
    facts = {"sample_id": loaded.sample.id, "content_hash": loaded.content_hash}
    return event(f"event-{number:06d}", **facts, **changes)


@pytest.fixture
def preview(dataset: VersionDataset, tmp_path: Path):
    def made(*events: object, **policy: object) -> NextRelease:
        rules = {"min_reviews_to_reject": 1, "holds_flagged": True, **policy}
        with ReviewStore(tmp_path / "reviews.sqlite") as store:
            store.append_all(events)  # pyright: ignore[reportArgumentType]
            desk = ReviewDesk(dataset, store)
            wanted = ReleasePolicy(text_rules=TextRulesConfig(), **rules)  # pyright: ignore
            return preview_next_release(dataset, desk.progress, wanted)

    return made


def test_every_row_is_counted_by_what_becomes_of_it(preview, dataset: VersionDataset) -> None:
    row = int(np.flatnonzero(dataset.matching(language="en", modality="IT->T"))[0])
    others = [number for number in range(len(dataset)) if number != row][:4]
    positive = dataset.load(row).sample.positive_text
    found = preview(
        act(dataset, others[0], 1, verdict="reject", reasons=["other"]),
        act(dataset, others[1], 2),
        act(dataset, others[2], 3, kind="flag", verdict=None),
        act(dataset, row, 4, kind="edit", edits={"negative_texts": [positive]}),
    )
    assert found.removed == {
        "rejected": 1,
        "flagged, waiting for a second look": 1,
        "edit breaks a rule": 1,
    }
    assert found.num_accepted == 1
    assert found.num_kept == len(dataset) - 3
    [refused] = found.refused_edits
    assert refused.sample_id == dataset.sample_id(row)
    assert "`negative_texts.0`" in refused.problem


def test_the_policy_decides(preview, dataset: VersionDataset) -> None:
    events = (
        act(dataset, 0, 1, verdict="reject", reasons=["other"]),
        act(dataset, 1, 2, kind="flag", verdict=None),
    )
    found = preview(*events, min_reviews_to_reject=2, holds_flagged=False)
    assert found.removed.total() == 0
    assert found.num_undecided == 1


def test_the_policy_comes_from_the_version(dataset: VersionDataset, tmp_path: Path) -> None:
    manifest = dataset.manifest.model_copy(
        update={"policy": {"min_reviews_to_reject": 3, "flagged": "keep"}}
    )
    checks = {"max_query_chars": 50, "max_instruction_repeats": 4}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"checks": checks}))
    policy = read_release_policy(tmp_path, manifest)
    assert (policy.min_reviews_to_reject, policy.holds_flagged) == (3, False)
    assert policy.text_rules.max_query_chars == 50


@pytest.mark.parametrize("content", ["[", "checks: 5", "checks: {max_query_chars: no}", "- a"])
def test_a_configuration_that_says_nothing_gives_the_defaults(
    dataset: VersionDataset, tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.yaml").write_text(content)
    assert read_release_policy(tmp_path, dataset.manifest).text_rules == TextRulesConfig()
