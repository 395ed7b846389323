"""`score` on a small workspace with tiny models of real families: column, gate, errors."""

from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from builder.cli import make_app
from builder.config import load_config, save_config
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.ledger.scores import LOW_ALIGNMENT, drop_lowest, read_scores
from builder.release import Version, open_inputs, release
from builder.scoring.models import ClipScorer, ScorerError, load_scorer
from builder.scoring.score import score_samples
from builder.workspace import Workspace
from schemas.row_scores import read_row_scores
from tests.release.small_workspace import kept_samples, small_workspace
from tests.trainer.tiny_duals import save_tiny_model


@pytest.fixture(scope="module", params=["clip", "siglip2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(request.param, tmp_path_factory.mktemp("models") / request.param)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return small_workspace(tmp_path / "ws", num_rows=60, num_images=8)


def score(workspace: Workspace, *options: str) -> str:
    command = ["score", "--workspace", str(workspace.root), *options]
    done = CliRunner().invoke(make_app(), command, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_scores_become_the_alignment_of_the_next_release(workspace: Workspace, model: Path) -> None:
    shown = score(workspace, "--scorer", str(model))
    rows = kept_samples(workspace)
    claimed = {row.id for row in rows if row.positive_text or row.query_text}
    assert claimed and len(claimed) < len(rows)  # I->I has no text
    assert f"{len(claimed)} of {len(rows)} samples scored" in shown
    assert "Half of the texts find their own picture at place" in shown
    with Ledger(workspace.ledger_path) as ledger:
        scores = read_scores(ledger)
    assert set(scores) == claimed and len(set(scores.values())) > 1
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, Version.parse("0.1.0"), workspace.releases_dir)
    unscored = {row.id: row.alignment for row in rows if row.id not in scores}
    published: dict[str, float] = {}
    for shard in made.manifest.shards:
        if shard.config not in ("provenance", "reviews"):
            table = pq.read_table(made.directory / shard.path, columns=["id", "alignment"])
            published |= dict(zip(*table.to_pydict().values(), strict=True))
    assert published == pytest.approx(scores | unscored, abs=1e-4)
    table = read_row_scores(made.directory)
    assert table is not None
    places = np.array(table["picture_rank"].to_pylist())
    num_groups = set(table["num_ranked"].to_pylist())
    assert len(num_groups) == 1 and places.min() == 1 and places.max() <= num_groups.pop()
    quality = orjson.loads((made.directory / "quality.json").read_bytes())
    reported = quality["criteria"]["alignment"]["round_trip_rank"]
    assert reported["median"] == np.median(places)


def test_the_gate_drops_the_lowest_and_lets_them_back_in(workspace: Workspace, model: Path) -> None:
    config = load_config(workspace.config_path)
    config.gates.alignment_share = 0.2
    save_config(config, workspace.config_path)
    shown = score(workspace, "--scorer", str(model))
    with Ledger(workspace.ledger_path) as ledger:
        scores = read_scores(ledger)
        kept = {row.id for row in kept_samples(workspace)}
        dropped = set(scores) - kept
        assert len(dropped) == int(0.2 * len(scores)) == ledger.drop_counts()[LOW_ALIGNMENT]
        assert max(scores[name] for name in dropped) <= min(
            scores[name] for name in scores if name in kept
        )
        assert f"{len(dropped)} samples dropped as low_alignment" in shown
        assert drop_lowest(ledger, 0.2) == {LOW_ALIGNMENT: len(dropped)}  # the same again
        assert drop_lowest(ledger, None) == {LOW_ALIGNMENT: 0}
    assert {row.id for row in kept_samples(workspace)} >= set(scores)


def test_scoring_again_drops_the_same_and_lets_nothing_back_in(
    workspace: Workspace, model: Path
) -> None:
    config = load_config(workspace.config_path)
    config.gates.alignment_share = 0.2
    save_config(config, workspace.config_path)
    kept: list[set[str]] = []
    for _ in range(3):
        score(workspace, "--scorer", str(model))
        kept.append({row.id for row in kept_samples(workspace)})
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) < 60


def test_a_model_that_gives_no_numbers_changes_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    directory = save_tiny_model("clip", tmp_path / "broken")
    scorer = load_scorer(str(directory))
    assert isinstance(scorer, ClipScorer)
    with torch.no_grad():
        next(scorer._model.text_projection.parameters()).fill_(torch.nan)
    with Ledger(workspace.ledger_path) as ledger, ImageStore(workspace.images_dir) as store:
        with pytest.raises(ScorerError, match="not numbers"):
            score_samples(ledger, store, scorer, lambda *_: None)
        assert read_scores(ledger) == {}


def test_a_model_with_code_needs_to_be_trusted(tmp_path: Path) -> None:
    directory = save_tiny_model("clip", tmp_path / "model")
    (directory / "modules.json").write_text("[]")
    (directory / "custom.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ScorerError, match="--trust-code"):
        load_scorer(str(directory))


@pytest.mark.parametrize(
    ("family", "words"), [("bert", "no text and image side"), (None, "cannot be loaded")]
)
def test_what_is_no_scorer_is_said_in_one_line(
    family: str | None, words: str, tmp_path: Path
) -> None:
    directory = tmp_path / "model"
    if family:
        save_tiny_model(family, directory)
    else:
        directory.mkdir()
    with pytest.raises(ScorerError, match=words) as caught:
        load_scorer(str(directory))
    assert "\n" not in str(caught.value)
