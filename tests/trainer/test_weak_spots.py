import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.config import BuildConfig, load_config, save_config
from builder.images.store import ImageStore
from builder.plan import plan_round, targets_of
from schemas.vocabulary import CELLS, LANGUAGES
from tests.plan.conftest import fill
from tests.trainer.tiny_encoder import TinyEncoder
from trainer.cli import main
from trainer.config import EvaluateConfig
from trainer.data.corpus import load_corpus
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.report import write_report
from trainer.evaluate.validation import evaluate_validation
from trainer.weak_spots import WeakSpots, find_weak_spots, weak_spot_tables

RECALLS = {"en": 0.9, "de": 0.7, "ar": 0.4, "sw": 0.1}
CELL_RECALLS = {f"{cell.task_type} {cell.modality}": 0.5 for cell in CELLS}


def _entries(recalls: dict[str, float], num_queries: int) -> dict[str, dict[str, float]]:
    return {
        name: {"num_queries": num_queries, "recall_at_k": recall}
        for name, recall in recalls.items()
    }


def _write(
    directory: Path,
    languages: dict[str, float],
    cells: dict[str, float] | None = None,
    *,
    num_queries: int = 500,
    left_out: dict[str, int] | None = None,
    crossed: dict[str, dict[str, dict[str, float]]] | None = None,
) -> Path:
    section: dict[str, Any] = {"title": "t", "per_language": _entries(languages, num_queries)}
    if cells is not None:
        section["per_cell"] = _entries(cells, num_queries)
        section["per_cell_and_language"] = crossed or {}
    report = {"data": "shapes@0.1.0", "left_out": left_out or {}, "sections": {"cells": section}}
    path = directory / "evaluation.json"
    path.write_text(json.dumps(report), encoding="utf-8")
    return path


def _languages(spots: WeakSpots) -> dict[str, float]:
    return {spot.name: spot.share for spot in spots.languages}


def _cells(spots: WeakSpots) -> dict[str, float]:
    return {spot.name: spot.share for spot in spots.cells}


@given(
    recalls=st.dictionaries(st.sampled_from([*LANGUAGES]), st.floats(0, 1), min_size=1),
    cells=st.dictionaries(st.sampled_from([*CELL_RECALLS]), st.floats(0, 1)),
    strength=st.floats(0, 8),
    max_share=st.floats(0, 1),
    num_queries=st.integers(1, 10_000),
)
def test_shares_sum_to_100_and_keep_the_bound_and_the_builder_takes_them(
    tmp_path_factory: pytest.TempPathFactory,
    recalls: dict[str, float],
    cells: dict[str, float],
    strength: float,
    max_share: float,
    num_queries: int,
) -> None:
    directory = tmp_path_factory.getbasetemp()
    path = _write(directory, recalls, cells, num_queries=num_queries)
    spots = find_weak_spots(path, strength=strength, max_share=max_share)
    for shares in filter(None, (_languages(spots), _cells(spots))):
        assert sum(shares.values()) == pytest.approx(100)
        assert max(shares.values()) <= 100 * max(max_share, 1 / len(shares)) + 1e-6
        assert min(shares.values()) >= 0
    config = BuildConfig.model_validate({"name": "next", **yaml.safe_load(spots.block())})
    assert set(config.languages) == set(recalls)


def test_worse_languages_and_cells_get_more(tmp_path: Path) -> None:
    cells = {**CELL_RECALLS, "retrieval T->I": 0.1, "retrieval I->I": 0.9}
    spots = find_weak_spots(_write(tmp_path, RECALLS, cells), max_share=1)
    shares = _languages(spots)
    assert [*shares] == ["sw", "ar", "de", "en"]
    assert shares["sw"] > shares["ar"] > shares["de"] > shares["en"] > 0
    assert shares["sw"] / shares["en"] == pytest.approx(0.9 / 0.1, rel=0.1)
    by_cell = _cells(spots)
    assert by_cell["retrieval T->I"] > by_cell["retrieval IT->I"] > by_cell["retrieval I->I"]


def test_strength_0_is_equal_shares_and_the_papers_cells(tmp_path: Path) -> None:
    spots = find_weak_spots(_write(tmp_path, RECALLS, CELL_RECALLS), strength=0)
    assert set(_languages(spots).values()) == {25.0}
    tasks = spots.settings()["task_shares"]
    assert tasks == pytest.approx({"classification": 25, "vqa": 25, "retrieval": 50}, abs=0.05)


def test_more_strength_is_sharper(tmp_path: Path) -> None:
    path = _write(tmp_path, RECALLS)
    weakest = [
        _languages(find_weak_spots(path, strength=strength, max_share=1))["sw"]
        for strength in (0, 0.5, 1, 2, 4)
    ]
    assert weakest == sorted(set(weakest))


def test_what_one_may_not_have_others_get(tmp_path: Path) -> None:
    path = _write(tmp_path, RECALLS)
    shares = _languages(find_weak_spots(path, strength=4, max_share=0.4))
    assert shares["sw"] == pytest.approx(40)
    assert sum(shares.values()) == pytest.approx(100)
    assert shares["ar"] >= shares["de"] > shares["en"]


def test_few_queries_are_drawn_towards_the_mean(tmp_path: Path) -> None:
    def ratio(num_queries: int) -> float:
        path = _write(tmp_path, RECALLS, num_queries=num_queries)
        shares = _languages(find_weak_spots(path, max_share=1))
        return shares["sw"] / shares["en"]

    assert ratio(2_000) > ratio(20) > ratio(3) >= 1


def test_a_language_is_not_weak_for_having_the_harder_cells(tmp_path: Path) -> None:
    crossed = {
        "retrieval I->I": {"en": {"num_queries": 900, "recall_at_k": 0.9}},
        "vqa IT->T": {
            "en": {"num_queries": 100, "recall_at_k": 0.3},
            "de": {"num_queries": 1000, "recall_at_k": 0.3},
        },
    }
    cells = {"retrieval I->I": 0.9, "vqa IT->T": 0.3}
    languages = {"en": 0.84, "de": 0.3}
    path = _write(tmp_path, languages, cells, num_queries=1_000, crossed=crossed)
    shares = _languages(find_weak_spots(path, max_share=1))
    assert shares["de"] == pytest.approx(shares["en"], rel=1e-6)
    bare = _write(tmp_path, languages, num_queries=1_000)
    shares = _languages(find_weak_spots(bare, max_share=1))
    assert shares["de"] > 3 * shares["en"]


def test_cells_that_a_model_does_not_take_keep_a_share(tmp_path: Path) -> None:
    measured = {name: 0.5 for name in CELL_RECALLS if "IT" not in name}
    left_out = {name: 20 for name in CELL_RECALLS if "IT" in name}
    spots = find_weak_spots(_write(tmp_path, RECALLS, measured, left_out=left_out))
    assert set(_cells(spots)) == set(CELL_RECALLS)
    assert all(share > 0 for share in _cells(spots).values())
    (table,) = [each for each in weak_spot_tables(spots) if "cells" in str(each.title)]
    assert "not taken" in [*table.columns[1].cells]


def test_tasks_whose_share_is_nothing_are_left_to_the_builders_defaults(tmp_path: Path) -> None:
    cells = {name: 1.0 if name == "vqa IT->T" else 0.0 for name in CELL_RECALLS}
    spots = find_weak_spots(_write(tmp_path, RECALLS, cells, num_queries=5_000), strength=8)
    settings = spots.settings()
    assert settings["task_shares"]["vqa"] == 0
    assert "vqa" not in settings["modality_shares"]
    assert BuildConfig.model_validate(settings).task_shares["vqa"] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not an evaluation"),
        ("[]", "not an evaluation"),
        ("[" * 100_000, "not an evaluation"),
        ('{"sections": 3}', "not an evaluation"),
        ('{"sections": {}}', "no section with figures by language"),
        ('{"sections": {"a": {"per_cell": {}}}}', "no section with figures by language"),
        ('{"sections": {"a": {"per_language": {}}}}', "no figures for any language"),
        (
            '{"sections": {"a": {"per_language": {"xx": {"num_queries": 1, "recall_at_k": 0}}}}}',
            "no figures for any language",
        ),
        (
            '{"sections": {"a": {"per_language": {"en": {"num_queries": 1, "recall_at_k": NaN}}}}}',
            "no section with figures by language",
        ),
    ],
)
def test_a_broken_file_is_one_line(
    content: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NothingToMeasureError, match=message):
        find_weak_spots(path)
    code, complaint = _command(monkeypatch, capsys, path)
    assert code == 1
    assert complaint.startswith(f"error: {path}: {message}")
    assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x89PNG\r\n", None])
def test_what_is_no_text_is_one_line(
    data: bytes | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "evaluation.json"
    if data is not None:
        path.write_bytes(data)
    code, complaint = _command(monkeypatch, capsys, path)
    assert code == 1
    assert complaint.startswith("error: ") and "evaluation.json" in complaint
    assert len(complaint.splitlines()) == 1


def _command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["trainer", "weak-spots", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr()
    return left.value.code, shown.err if left.value.code else shown.out


def test_from_a_measured_model_to_the_builders_next_plan(
    small_release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    held_out = load_corpus(str(small_release), "validation")
    report = evaluate_validation(TinyEncoder(), held_out, EvaluateConfig(num_resamples=20))
    write_report(report, tmp_path)
    code, shown = _command(
        monkeypatch, capsys, tmp_path / "evaluation.json", "--output", tmp_path / "weak"
    )
    assert code == 0
    assert (tmp_path / "weak" / "weak_spots.yaml").read_text(encoding="utf-8") == shown
    assert (tmp_path / "weak" / "weak_spots.png").read_bytes().startswith(b"\x89PNG")
    assert shown.startswith("# Shares for the next round")
    assert "shapes@0.1.0: recall of 240 held-out queries" in shown
    config = _builders(tmp_path, shown)
    assert isinstance(config.languages, dict)
    assert set(config.languages) == {"en", "de", "ar", "ja"}
    wanted = targets_of(config).by_slot
    assert sum(wanted.values()) == 400
    for code_, share in config.languages.items():
        count = sum(count for (_, _, language), count in wanted.items() if language == code_)
        assert count == pytest.approx(4 * share, abs=1)
    with ImageStore(tmp_path / "images") as store:
        fill(store, 12)
        plan = plan_round(config, store, 0, {})
    assert len(plan) == 400
    assert plan.counts() == {slot: count for slot, count in wanted.items() if count}


def _builders(directory: Path, block: str) -> BuildConfig:
    """The builder's configuration with the block's sections instead of its own."""
    path = directory / "build.yaml"
    images: Any = {"embedder": "descriptor", "validation_share": 0.3, "num_neighbours": 6}
    save_config(BuildConfig(name="next", num_samples=400, images=images), path)
    content = yaml.safe_load(path.read_text(encoding="utf-8")) | yaml.safe_load(block)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_config(path)


def test_norwegian_stays_a_language_in_yaml(tmp_path: Path) -> None:
    spots = find_weak_spots(_write(tmp_path, {"no": 0.2, "en": 0.8}))
    assert set(yaml.safe_load(spots.block())["languages"]) == {"no", "en"}
