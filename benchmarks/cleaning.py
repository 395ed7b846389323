"""What dropping the lowest alignment scores brings, at little noise and at much.

    python -m benchmarks.cleaning OUTPUT [--noise 0.015 0.15] [--batching mixed]

At each share of wrong concepts that the lexicon teacher plants, the demo's recipe is built and
released as 0.1.0, a model is trained on it, and its own scores drop that share of rows: 0.2.0. In
0.3.0 a scripted reviewer rejects every wrong row instead, which is the most that cleaning can do.
`trainer compare` then says what each brings. Held-out rows are of all three versions, so their own
mistakes lower every figure alike. What was built before in OUTPUT is taken as it is.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from builder.demo.context import RECIPE, SHORT_CODE
from builder.demo.reviewer import standing_mistakes
from builder.lexicon_teacher.mistakes import MistakeRates
from builder.lexicon_teacher.server import running_teacher

_RAW, _SCORED, _SOUND = "0.1.0", "0.2.0", "0.3.0"
_ARMS = {_SCORED: "lowest scores out", _SOUND: "every mistake out"}
_REVIEWER = "scripted-reviewer"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, help="keeps workspaces, models and comparisons")
    parser.add_argument("--noise", type=float, nargs="+", default=(0.015, 0.15))
    parser.add_argument("--steps", default="60", help="of every training")
    parser.add_argument("--batching", default="concept", help="of the compared trainings")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="at least three")
    options = parser.parse_args()
    table = Table(title="recall@10 against the version as built", title_justify="left")
    for name in ("wrong concepts", "arm", "rows", "wrong in all", "recall@10", "gain", "95 %"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for noise in options.noise:
        place = options.output / f"noise-{noise:g}"
        _make_versions(place, noise, options.steps)
        compared = place / f"comparison-{options.batching}"
        settings = ("--steps", options.steps, "--seeds", options.seeds)
        _compare(place, compared, *settings, "--batching", options.batching)
        for line in _lines(place, compared, noise):
            table.add_row(*line)
        table.add_section()
    console = Console(width=110)
    console.print(table)
    console.print(describe_machine())


def _make_versions(place: Path, noise: float, steps: str) -> None:
    workspace, planted = place / "workspace", place / "planted.jsonl"
    if not (workspace / "releases" / _RAW).exists():
        place.mkdir(parents=True, exist_ok=True)
        rates = MistakeRates(wrong_concept=noise)
        with running_teacher(planted=planted, rates=rates) as url:
            _run("builder", "images", "add", "pictograms", "-w", workspace)
            _run("builder", "build", "--config", RECIPE, "-w", workspace, endpoint=url)
        _run("builder", "release", "--version", _RAW, "-w", workspace)
    if not (place / "model" / "modules.json").exists():
        dataset = ("--dataset", workspace / "releases" / _RAW)
        heads = ("--tune", "heads", "--steps", steps)
        _run("trainer", "train", *dataset, *heads, "--output", place / "model")
    if not (workspace / "releases" / _SCORED).exists():
        _run("builder", "score", "--trust-code", "--scorer", place / "model", "-w", workspace)
        with _gate(workspace, noise):
            _run("builder", "reparse", "-w", workspace)
            _run("builder", "release", "--version", _SCORED, "-w", workspace)
        _run("builder", "reparse", "-w", workspace)
    if not (workspace / "releases" / _SOUND).exists():
        raw = workspace / "releases" / _RAW
        decisions = place / "decisions.jsonl"
        decisions.write_bytes(
            b"".join(
                orjson.dumps({"sample_id": row, "verdict": "reject", "reasons": [reason]}) + b"\n"
                for row, reason in standing_mistakes(raw, planted).items()
            )
        )
        store = ("--store", workspace / "reviews.sqlite", "--reviewer", _REVIEWER)
        _run("curation_app", "record", decisions, "--dataset", raw, *store)
        _run("builder", "release", "--version", _SOUND, "-w", workspace)


@contextmanager
def _gate(workspace: Path, share: float) -> Iterator[None]:
    """The workspace's configuration with a gate at this share of all scores."""
    path = workspace / "config.yaml"
    before = path.read_text(encoding="utf-8")
    settings = yaml.safe_load(before) | {"gates": {"alignment_share": share}}
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def _compare(place: Path, output: Path, *settings: str) -> None:
    releases = [place / "workspace" / "releases" / name for name in (_RAW, *_ARMS)]
    _run("trainer", "compare", *releases, *settings, "--output", output)


def _lines(place: Path, compared: Path, noise: float) -> Iterator[tuple[str, ...]]:
    """A line of the table for each version."""
    report = orjson.loads((compared / "recall.json").read_bytes())
    releases = place / "workspace" / "releases"
    differences = {found["first"]: found for found in report["differences"]}
    for version, name in {_RAW: "as built", **_ARMS}.items():
        arm = report["arms"][version]
        standing = standing_mistakes(releases / version, place / "planted.jsonl")
        num_wrong = sum(reason == "positive_wrong" for reason in standing.values())
        gain, interval = "", ""
        if version != _RAW:
            low, high = differences[version]["interval"]
            gain, interval = f"{differences[version]['mean']:+.3f}", f"{low:+.3f} to {high:+.3f}"
        rows = (f"{arm['num_rows']:,}", f"{num_wrong:,}", f"{arm['mean']:.3f}")
        yield (f"{noise:.1%}" if version == _RAW else "", name, *rows, gain, interval)


def _run(*arguments: str | Path, endpoint: str = "") -> None:
    """Runs one command of ours; a build may end a few samples short."""
    command = [sys.executable, "-m", *map(str, arguments)]
    environment = {**os.environ, "OPENAI_BASE_URL": endpoint, "OPENAI_API_KEY": "no-key-needed"}
    code = subprocess.run(command, env=environment, check=False).returncode
    if code not in (0, SHORT_CODE):
        sys.exit(f"{' '.join(command[1:])} ended with code {code}")


if __name__ == "__main__":
    main()
