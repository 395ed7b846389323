"""Coverage counts every row once, against the targets the release carries."""

from pathlib import Path

import orjson
import pytest
import yaml

from builder.config import BuildConfig
from builder.plan.shares import targets_of
from curation_app.data.coverage import Coverage, read_coverage, read_targets
from curation_app.data.query import VersionQuery
from curation_app.data.version import VersionDataset, open_dataset
from schemas.vocabulary import CELLS, LANGUAGES
from tests.curation_app.tiny_release import tiny_samples, write_release

CONFIG = {
    "num_samples": 1_000,
    "languages": {"ar": 1.0, "en": 3.0, "no": 0.0},
    "task_shares": {"classification": 1, "vqa": 1, "retrieval": 2},
    "modality_shares": {"retrieval": {"T->I": 9.0, "I->I": 1.0}},
}
QUALITY = {
    "drops": {
        "generation": {"answer_leak": 12, "<img src=x onerror=alert(1)>": 3, "no": "number"},
        "release": {"rejected_in_review": 7},
    },
    "languages": {
        "ar": {"published": 6, "dropped_in_generation": 4, "dropped_in_release": 1},
        "xx": {"dropped_in_generation": 9},
        "en": "none",
    },
}


def coverage_of(release: Path, cache: Path) -> Coverage:
    return read_coverage(VersionQuery(open_dataset(str(release)), cache))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    samples, images = tiny_samples()
    return write_release(tmp_path / "release", samples, images)


def test_every_row_is_counted_once(dataset: VersionDataset, tmp_path: Path) -> None:
    coverage = read_coverage(VersionQuery(dataset, tmp_path))
    assert sum(coverage.counts.values()) == len(dataset)
    assert coverage.counts["vqa", "IT->T", "ar"] == 1
    assert all(sum(scores.values()) == len(dataset) for scores in coverage.scores.values())
    assert coverage.scores["diversity"] == {3: len(dataset)}
    assert coverage.alignments == {} and coverage.targets is None and coverage.drops == []
    assert coverage.languages == sorted(
        dataset.counts("language"), key=lambda code: LANGUAGES[code].name
    )


def test_targets_are_shares_of_the_number_wanted(tiny: Path, tmp_path: Path) -> None:
    (tiny / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    coverage = coverage_of(tiny, tmp_path / "cache")
    assert coverage.targets is not None
    assert sum(coverage.targets.values()) == pytest.approx(1_000)
    assert coverage.targets["vqa", "IT->T", "ar"] == pytest.approx(1_000 / 4 / 4)
    assert coverage.targets["retrieval", "T->I", "en"] == pytest.approx(1_000 * 3 / 4 / 2 * 0.9)
    assert coverage.of_language("en") == (6, pytest.approx(750))
    assert coverage.of_language("ja") == (6, 0)
    assert ("retrieval", "IT->I") not in {(c.task_type, c.modality) for c in coverage.cells}


@pytest.mark.parametrize("languages", ["uniform", "mme5", {"ar": 2.0, "fa": 1.0, "sw": 0.5}])
def test_targets_are_those_of_the_plan_to_a_row(languages: object, tmp_path: Path) -> None:
    told = {"num_samples": 20_000, "languages": languages, "modality_shares": {}}
    config = BuildConfig.model_validate({"name": "tiny", **told})
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    found = read_targets(path)
    assert found is not None
    for slot, wanted in targets_of(config).by_slot.items():
        assert found[slot] == pytest.approx(wanted, abs=1.5)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "num_samples: many", "num_samples: 5\nlanguages: nowhere", "a: [", "\x00", "!!x y"],
)
def test_a_configuration_of_another_form_gives_no_targets(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert read_targets(path) is None
    assert read_targets(tmp_path / "missing.yaml") is None


def test_drops_are_told_by_reason_and_language(tiny: Path, tmp_path: Path) -> None:
    (tiny / "quality.json").write_bytes(orjson.dumps(QUALITY))
    coverage = coverage_of(tiny, tmp_path / "cache")
    drops = [(drop.stage, drop.reason, drop.num_rows) for drop in coverage.drops]
    assert drops == [
        ("generation", "answer_leak", 12),
        ("release", "rejected_in_review", 7),
        ("generation", "other", 3),
    ]
    assert coverage.drops_by_language == {"ar": 5}


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"drops": 3, "languages": [2]}'])
def test_a_quality_report_of_another_form_gives_no_drops(
    content: bytes, tiny: Path, tmp_path: Path
) -> None:
    (tiny / "quality.json").write_bytes(content)
    coverage = coverage_of(tiny, tmp_path / "cache")
    assert coverage.drops == [] and coverage.drops_by_language == {}


def test_every_cell_of_the_vocabulary_has_a_place(tiny: Path, tmp_path: Path) -> None:
    (tiny / "config.yaml").write_text(yaml.safe_dump({"num_samples": 100, "languages": "uniform"}))
    assert coverage_of(tiny, tmp_path / "cache").cells == list(CELLS)
