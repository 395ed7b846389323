"""The numbers of a demo run, read back from what its stages left, and their closing table."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from builder.demo import reviewer
from builder.demo.auditing import audit_figures
from builder.demo.context import FIRST, SECOND, Demo
from builder.ledger.ledger import Ledger
from schemas.manifest import read_manifest
from schemas.shards import read_records


def summarise(
    demo: Demo,
    loaded: list[dict[str, Any]],
    decisions: reviewer.Decisions,
    releases: list[dict[str, Any]],
    rolled_back: dict[str, Any],
) -> dict[str, Any]:
    """What `summary.json` holds.

    Args:
        demo: A finished run.
        loaded: What each cold `load_dataset` found, in order of version.
        decisions: What the scripted reviewer did.
        releases: The versions the Hub lists, each with its commit and tag.
        rolled_back: What pulling and rolling back gave.
    """
    manifest = read_manifest(demo.workspace / "releases" / SECOND)
    with Ledger(demo.workspace / "ledger.sqlite") as ledger:
        num_dropped = ledger.drop_counts()
    recall = orjson.loads((demo.training / "recall.json").read_bytes())
    versions = orjson.loads((demo.versions / "recall.json").read_bytes())
    arms = recall["arms"]
    seconds = demo.times.seconds
    return {
        "num_samples": manifest.num_samples,
        "num_dropped": num_dropped,
        "languages": manifest.languages,
        "modalities": manifest.modalities,
        "releases": releases,
        "mistakes": _mistakes(demo, decisions),
        "reviews": {
            "reviewer": reviewer.NAME,
            "num_accepted": decisions.num_accepted,
            "num_edited": decisions.num_edited,
            "num_rejected": decisions.num_rejected,
        },
        "audit": audit_figures(demo),
        "loaded": loaded,
        "rolled_back": rolled_back,
        "recall_at_10": {
            **{name: arm["mean"] for name, arm in arms.items()},
            "seed_interval": {name: arm["seed_interval"] for name, arm in arms.items()},
            "per_language": {name: arm["per_language"] for name, arm in arms.items()},
            "chance": recall["chance"],
            "num_candidates": recall["num_candidates"],
            "encoder": recall["encoder"],
            "seeds": recall["seeds"],
            "heads": _recall_of(demo.heads),
            "lora": _recall_of(demo.model),
        },
        "compared": [
            each["sentence"] for each in (*recall["differences"], *versions["differences"])
        ],
        "seconds": {**seconds, "total": round(sum(seconds.values()), 1)},
        "resumed": demo.times.resumed,
    }


def _audit_line(audit: dict[str, Any]) -> str:
    overall, seeds = audit["overall"], audit["seeds"]
    return (
        f"{audit['num_decided']:,} rows by {audit['num_reviewers']} reviewers, defects "
        f"{overall['rate']:.1%} ({overall['low']:.1%} to {overall['high']:.1%}), "
        f"planted defects found {seeds['found']} of {seeds['decided']}"
    )


def _recall_of(model: Path) -> float:
    """recall@10 of an exported model on the held-out concepts."""
    evaluation = orjson.loads((model / "evaluation.json").read_bytes())
    return evaluation["sections"]["concepts"]["mean"]["recall_at_k"]


def _mistakes(demo: Demo, decisions: reviewer.Decisions) -> dict[str, dict[str, int]]:
    """By kind: how many the teacher planted, and what became of them.

    A reply of broken form that is in the version came out right when it was
    repaired or asked for again. What is left in stands in rows nobody reviewed.
    """
    planted = reviewer.planted_mistakes(demo.planted)
    published = {
        row["seed"]
        for shard in sorted((demo.workspace / "releases" / FIRST / "data/provenance").iterdir())
        for row in read_records(shard, ["seed"])
    }
    num_planted = Counter(entry["mistake"] for entry in planted.values())
    survived = Counter(entry["mistake"] for seed, entry in planted.items() if seed in published)
    mistakes: dict[str, dict[str, int]] = {}
    for kind, count in sorted(num_planted.items()):
        is_form = kind in {"broken_json", "truncated"}
        put_right = survived[kind] if is_form else 0
        mistakes[kind] = {
            "planted": count,
            "caught_by_checks": count - survived[kind],
            "right_when_asked_again": put_right,
            "put_right_by_reviewer": decisions.mistakes[kind],
            "left_in": survived[kind] - put_right - decisions.mistakes[kind],
        }
    return mistakes


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """The closing table."""
    table = Table(title="The loop, closed", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in summary["num_dropped"].items())
    table.add_row("samples", f"{summary['num_samples']:,} in {len(summary['languages'])} languages")
    table.add_row("dropped", dropped)
    for kind, counts in summary["mistakes"].items():
        fates = [f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items()]
        table.add_row(kind.replace("_", " "), ", ".join(fates))
    table.add_row(f"audit of {summary['audit']['version']}", _audit_line(summary["audit"]))
    for release in summary["releases"]:
        table.add_row(release["tag"], f"commit {release['commit'][:12]}")
    restored = summary["rolled_back"]
    table.add_row(
        restored["release"]["tag"],
        f"restores v{restored['restored']} on a second Hub, "
        f"{restored['num_differing_rows']} rows differ",
    )
    recall = summary["recall_at_10"]
    for arm in ("untrained", "english_only", "multilingual"):
        low, high = recall["seed_interval"][arm]
        table.add_row(f"recall@10 {arm}", f"{recall[arm]:.3f} (seeds {low:.3f} to {high:.3f})")
    table.add_row(
        "recall@10 of the models",
        f"heads {recall['heads']:.3f}, then LoRA in the text tower {recall['lora']:.3f} "
        "(1 seed, one draw of candidates)",
    )
    table.add_row("compared", "\n".join(summary["compared"]))
    seconds = ", ".join(f"{stage} {value:.0f}" for stage, value in summary["seconds"].items())
    resumed = (
        f" (after an interruption: {', '.join(stages)})" if (stages := summary["resumed"]) else ""
    )
    table.add_row("seconds", seconds + resumed)
    console.print(table)
