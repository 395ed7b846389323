"""How many of the mistakes that the demo's teacher planted have the lowest scores.

    python -m benchmarks.scoring demo --scorer MODEL

MODEL is what `python -m trainer train --dataset demo/workspace/releases/0.1.0 --output MODEL`
exported. The truth is the teacher's own list of what it made wrong; a row counts as wrong where the
mistake passed every check and stands in version 0.1.0. Recall at 5 % is the share of wrong rows
whose score is below that of all but 5 % of the sound rows.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from builder.demo.reviewer import standing_mistakes
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.progress import stage_bars
from builder.scoring.models import load_scorer
from builder.scoring.score import Scored, score_samples
from builder.workspace import open_workspace

_VERSION = "0.1.0"
_FALSE_ALARMS = (0.05, 0.10)
_NAMES = {"positive_wrong": "wrong concept", "negative_correct": "swapped negative"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("demo", type=Path, help="directory of a demo")
    parser.add_argument("--scorer", required=True, help="what the trainer exported")
    options = parser.parse_args()
    workspace = open_workspace(options.demo / "workspace")
    model = load_scorer(options.scorer, trusts_code=True)
    console = Console()
    with (
        workspace.locked(),
        Ledger(workspace.ledger_path) as ledger,
        ImageStore(workspace.images_dir) as store,
        stage_bars("embedded") as progress,
    ):
        scored = score_samples(ledger, store, model, progress)
    truth = standing_mistakes(workspace.releases_dir / _VERSION, options.demo / "planted.jsonl")
    console.print(table(scored, dict(truth)))
    console.print(describe_machine())


def table(scored: Scored, truth: dict[str, str]) -> Table:
    """Recall of each planted mistake by each score."""
    shown = Table(title=f"{len(scored.scores):,} scored rows", title_justify="left")
    for name in ("mistake", "rows", "score", "AUC", *(f"recall at {s:.0%}" for s in _FALSE_ALARMS)):
        shown.add_column(name, justify="left" if name in ("mistake", "score") else "right")
    margins = [np.nan if score.margin is None else score.margin for score in scored.scores]
    # High where the negative fits as well, so its sign is turned.
    matches = [np.nan if s.negative_match is None else -s.negative_match for s in scored.scores]
    rules = {
        scored.rule: np.array([score.score for score in scored.scores]),
        "cosine of text and picture": np.array([score.cosine for score in scored.scores]),
        "cosine less the negative's": np.array(margins),
        "negative's match to its own group": np.array(matches),
    }
    reasons = np.array([truth.get(score.sample_id, "") for score in scored.scores])
    for reason, name in _NAMES.items():
        for rule, score_T in rules.items():
            has_score_T = np.isfinite(score_T)
            wrong = score_T[has_score_T & (reasons == reason)]
            sound = score_T[has_score_T & (reasons == "")]
            recalls = [_recall(wrong, sound, share) for share in _FALSE_ALARMS]
            figures = (f"{value:.3f}" for value in (_auc(wrong, sound), *recalls))
            shown.add_row(name, f"{len(wrong):,}", rule, *figures)
    return shown


def _recall(wrong: NDArray[np.floating], sound: NDArray[np.floating], share: float) -> float:
    return float((wrong < np.quantile(sound, share)).mean())


def _auc(wrong: NDArray[np.floating], sound: NDArray[np.floating]) -> float:
    """Chance that a wrong row scores below a sound one; ties count half."""
    ordered = np.sort(sound)
    below = np.searchsorted(ordered, wrong, side="left")
    equal = np.searchsorted(ordered, wrong, side="right") - below
    return float(1 - ((below + equal / 2) / len(sound)).mean())


if __name__ == "__main__":
    main()
