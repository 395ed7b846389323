"""The demo's audit of its first version: started, decided by scripts, settled and reported."""

import re
from pathlib import Path
from typing import Any

import orjson

from builder.demo import auditors
from builder.demo.context import FIRST, Demo, DemoError
from schemas.manifest import read_manifest
from schemas.shards import parse_record, read_records
from schemas.vocabulary import CONFIG_OF_TASK

_STARTED = re.compile(r"audit ([0-9a-f]{16}), queue ([0-9a-f]{16})")
_SETTLED = re.compile(r"settle: queue ([0-9a-f]{16})")
_MAX_ROWS, _MAX_SEEDS = 300, 30
_ROWS_PER_DRAWN, _ROWS_PER_SEED = 4, 20


def audit_first_version(demo: Demo) -> None:
    """Audits the first version; where an earlier run has done so, its report is left as it is."""
    if demo.audit_report is not None:
        return
    release_dir = demo.workspace / "releases" / FIRST
    source = ("--dataset", release_dir, "--store", demo.store)
    audit_id, queue_id = _started(demo, source)
    truth = auditors.read_truth(release_dir, demo.planted, _samples(release_dir))
    for name in auditors.NAMES:
        _decide(demo, source, queue_id, truth, name)
    said = demo.command("curation_app", "queue", "settle", queue_id, *source, "--by", auditors.LEAD)
    print(said, end="", flush=True)
    settled = _SETTLED.search(said)
    if settled is not None:
        _decide(demo, source, settled[1], truth, auditors.LEAD)
    demo.show("curation_app", "audit", "close", audit_id, *source, "--by", auditors.LEAD)
    demo.show("curation_app", "audit", "report", audit_id, *source, "--output", demo.audit)


def audit_figures(demo: Demo) -> dict[str, Any]:
    """What `summary.json` says of the audit."""
    written = demo.audit_report
    assert written is not None, "the review stage writes it"
    report = orjson.loads(written.read_bytes())
    figures = report["figures"]
    return {
        "version": report["version"],
        "num_decided": figures["num_decided"],
        "num_reviewers": figures["num_reviewers"],
        "overall": figures["overall"],
        "corrected": figures["corrected"],
        "agreement": figures["agreement"],
        "missed_share_of_each": auditors.MISSED_SHARE,
        "seeds": {"found": figures["num_seeds_found"], "decided": figures["num_seeds_decided"]},
    }


def _started(demo: Demo, source: tuple[str | Path, ...]) -> tuple[str, str]:
    """Ids of the audit and its queue; of one that was begun before, where it was."""
    begun = demo.root / "audit.begun"
    if not begun.exists():
        num_rows = read_manifest(demo.workspace / "releases" / FIRST).num_samples
        design = (
            *("--title", f"Version {FIRST}", "--by", auditors.LEAD, "--strata", "task_type"),
            *("--num", str(min(_MAX_ROWS, num_rows // _ROWS_PER_DRAWN)), "--overlap", "2"),
            *("--num-seeds", str(min(_MAX_SEEDS, num_rows // _ROWS_PER_SEED))),
        )
        said = demo.command("curation_app", "audit", "start", *source, *design)
        print(said, end="", flush=True)
        begun.write_text(said, encoding="utf-8")
    found = _STARTED.search(begun.read_text(encoding="utf-8"))
    if found is None:
        raise DemoError(f"{begun}: not what `audit start` says. Begin anew with --fresh.")
    return found[1], found[2]


def _decide(
    demo: Demo,
    source: tuple[str | Path, ...],
    queue_id: str,
    truth: auditors.Truth,
    name: str,
) -> None:
    items, lines = demo.root / "audit_items.jsonl", demo.root / "audit_decisions.jsonl"
    demo.command("curation_app", "queue", "items", queue_id, *source, "--output", items)
    decisions = auditors.decide(auditors.read_items(items), truth, name)
    lines.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in decisions))
    who = ("--reviewer", name, "--queue", queue_id)
    demo.show("curation_app", "record", lines, *source, *who)


def _samples(release_dir: Path):
    configs = set(CONFIG_OF_TASK.values())
    for shard in read_manifest(release_dir).shards:
        if shard.config in configs:
            for record in read_records(release_dir / shard.path):
                yield parse_record(record)[0].model_dump(mode="json")
