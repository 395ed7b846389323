"""The card: code that runs, facts as trained, and hostile names as plain text."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

from schemas.manifest import MANIFEST_NAME
from tests.trainer.export.conftest import Run
from trainer.config import ModelConfig
from trainer.export.card import card_for_repository, is_empty_card, model_card
from trainer.export.facts import DataInfo, Figure, TrainedModel, base_models, figures_of

HOSTILE = (
    "---\nlicense: evil\n---\n# Owned\n|a|b|\n<script>alert(1)</script> ![x](http://evil/x.png) "
    "[click](http://evil) ```\n`rm -rf /` $x$ {{ 7*7 }} \u202egnp.exe https://evil.example"
)

REPORT: dict[str, Any] = {
    "suite": "validation",
    "data": "demo/shapes@0.2.0",
    "commit": "c" * 40,
    "split": "validation",
    "notes": [],
    "sections": {
        "concepts": {
            "title": "Text-to-image, 300 held-out concepts",
            "k": 10,
            "mean": {
                "recall_at_k": 0.37321,
                "ndcg_at_10": 0.25,
                "chance": 0.0333,
                "interval": [0.35, 0.4],
            },
        }
    },
}


def trained(run: Run, **changes: Any) -> TrainedModel:
    model = TrainedModel.of(run.encoder, run.result, run.corpus.version)
    return replace(model, **changes)


def head(card: str) -> dict[str, Any]:
    """The YAML head, as the Hub and `huggingface_hub` both read it."""
    loaded = yaml.safe_load(card.split("---\n")[1])
    assert ModelCard(card, ignore_metadata_errors=False).data.to_dict()
    return loaded


def tokens(card: str) -> list[Token]:
    """Every block and inline token of the card's body."""
    body = card.split("\n---\n", 1)[1]
    blocks = MarkdownIt("gfm-like", {"linkify": False}).parse(body)
    return [token for block in blocks for token in (block, *(block.children or ()))]


def code_of(card: str) -> str:
    (block,) = [t for t in tokens(card) if t.type == "fence" and t.info == "python"]
    return block.content


def test_the_code_of_the_card_runs_on_the_export(run: Run, tmp_path: Path) -> None:
    code = code_of((run.output / "README.md").read_text(encoding="utf-8"))
    Image.new("RGB", (48, 48), "red").save(run.output / "photo.jpg")
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-c", code],
            cwd=run.output,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (run.output / "photo.jpg").unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tensor([[")


def test_the_head_names_data_and_languages_and_no_local_path(run: Run) -> None:
    card = (run.output / "README.md").read_text(encoding="utf-8")
    found = head(card)
    assert found["library_name"] == "sentence-transformers"
    assert found["pipeline_tag"] == "sentence-similarity"
    assert found["language"] == ["ar", "de", "en", "ja"]
    assert not {"datasets", "base_model", "license", "model-index"} & set(found)
    assert "shapes@0.1.0" in card and str(run.corpus.version.directory) not in card
    manifest = run.corpus.version.directory / MANIFEST_NAME
    assert DataInfo.of(run.corpus.version).manifest_hash in card
    digest = subprocess.run(["sha256sum", manifest], capture_output=True, text=True, check=True)
    assert digest.stdout.split()[0] in card


def test_data_and_base_on_the_hub_are_linked_in_the_head(run: Run) -> None:
    data = replace(DataInfo.of(run.corpus.version), repository="demo/shapes", commit="c" * 40)
    data = replace(data, label="demo/shapes@0.2.0")
    config = run.result.config.model_copy(update={"model": ModelConfig(name="org/tiny-vl")})
    model = trained(run, data=data, config=config, licence="apache-2.0")
    found = head(model_card(model, run.output, "Shapes"))
    assert (found["datasets"], found["base_model"]) == (["demo/shapes"], "org/tiny-vl")
    assert found["license"] == "apache-2.0"
    assert "c" * 12 in model_card(model, run.output, "Shapes")


def test_base_models_are_names_on_the_hub_and_never_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("org/local").mkdir(parents=True)
    names = ("org/tiny", "org/local", str(tmp_path), "a/text+b/image", "ngram", "compact")
    assert [base_models(ModelConfig(name=name)) for name in names] == [
        ("org/tiny",),
        (),
        (),
        ("a/text", "b/image"),
        (),
        ("intfloat/multilingual-e5-small",),
    ]


def test_a_report_becomes_a_table_and_a_model_index(run: Run) -> None:
    model = trained(run, figures=figures_of(REPORT))
    card = model_card(model, run.output, "Shapes")
    (entry,) = head(card)["model-index"]
    (result,) = entry["results"]
    assert result["dataset"] == {
        "name": "demo/shapes@0.2.0",
        "type": "demo/shapes",
        "config": "concepts",
        "split": "validation",
        "revision": "c" * 40,
    }
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert values == {"recall@10": 0.3732, "nDCG@10": 0.25}
    assert "| 0.373 | 0.350 to 0.400 | 0.033 |" in card


def test_without_a_report_the_card_says_that_nothing_was_measured(run: Run) -> None:
    card = model_card(trained(run), run.output, "Shapes")
    assert "exported without an evaluation" in card
    assert "95 % interval" not in card


def test_hostile_names_stay_text(run: Run) -> None:
    data = replace(
        DataInfo.of(run.corpus.version),
        teacher_models=(HOSTILE,),
        licences={HOSTILE: 3},
    )
    figure = Figure("recall@10", 0.5, (0.4, 0.6), HOSTILE, 0.1, HOSTILE)
    model = trained(run, data=data, note=HOSTILE, left_out=HOSTILE, figures=[figure])
    config = model.config.model_copy(
        update={"model": ModelConfig(name=HOSTILE, tune="heads"), "cells": (HOSTILE,)}
    )
    card = model_card(replace(model, config=config), run.output, HOSTILE)
    plain = model_card(trained(run, figures=[figure]), run.output, "Shapes")
    found = head(card)
    assert set(found) == set(head(plain))
    assert "evil" not in json.dumps({name: found[name] for name in found if name != "model-index"})
    assert "\u202e" not in card
    kinds = [token.type for token in tokens(card)]
    assert not {"html_block", "html_inline", "image"} & set(kinds)
    assert "link_open" not in kinds
    assert kinds.count("heading_open") == [t.type for t in tokens(plain)].count("heading_open")
    assert code_of(card) == code_of(plain)
    rows = [line for line in card.split("\n") if line.startswith("| ")]
    assert all("\n" not in row for row in rows)
    cells = [t for t in tokens(card) if t.type == "td_open"]
    # one more row than the plain card: the cells
    assert len(cells) == len([t for t in tokens(plain) if t.type == "td_open"]) + 2


def test_a_model_without_fused_input_shows_no_fused_code(run: Run) -> None:
    assert "both" not in code_of(model_card(trained(run), run.output, "Shapes"))
    fused = model_card(trained(run, takes=frozenset({"T", "I", "IT"})), run.output, "Shapes")
    assert '"image": image}' in code_of(fused)
    assert "cannot be embedded together" not in fused


def test_only_code_of_its_own_asks_for_trust(run: Run, tmp_path: Path) -> None:
    assert "trust_remote_code=True" in model_card(trained(run), run.output, "Shapes")
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    (tmp_path / "modules.json").write_text(json.dumps([module]))
    assert "trust_remote_code" not in model_card(trained(run), tmp_path, "Shapes")


def test_the_card_of_a_repository_loads_it_by_name(run: Run) -> None:
    card = card_for_repository((run.output / "README.md").read_text(), "me/shapes")
    assert 'SentenceTransformer("me/shapes", trust_remote_code=True)\n' in code_of(card)


@pytest.mark.parametrize(
    ("card", "is_empty"),
    [
        ("", True),
        ("---\nlicense: mit\n---\n", True),
        ("---\r\nlicense: mit\r\n---\r\n", True),
        ("---\nlicense: mit\n---\nHello", False),
        ("Hello", False),
    ],
)
def test_a_card_of_the_hubs_own_form_is_empty(card: str, is_empty: bool) -> None:
    assert is_empty_card(card) is is_empty
