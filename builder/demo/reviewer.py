"""The scripted reviewer: it knows which mistakes the teacher planted, and decides accordingly."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from schemas.reply import draft_names
from schemas.shards import read_records
from schemas.vocabulary import Cell

NAME = "scripted-reviewer"

#: Mistakes whose right version the reviewer writes; the others it rejects.
_MENDED = {"wrong_concept", "wrong_language"}


@dataclass(slots=True)
class Decisions:
    """What the reviewer decided, and how often it did what."""

    lines: list[dict[str, Any]]
    num_accepted: int = 0
    num_mended: int = 0
    num_rejected: int = 0


def planted_mistakes(path: Path) -> dict[int, dict[str, Any]]:
    """Mistakes the teacher says it made, by the seed of the request."""
    with path.open("rb") as lines:
        return {int(entry["seed"]): entry for entry in map(orjson.loads, lines)}


def decide(release_dir: Path, planted: Path, num_rows: int, seed: int) -> Decisions:
    """Goes through a seeded sample of a release.

    Args:
        release_dir: A release directory; its provenance tells each row's seed.
        planted: The teacher's list of mistakes.
        num_rows: Rows to look at.
        seed: Decides which.

    Returns:
        One decision a row: the mistakes among them mended or rejected, the
        rest accepted.
    """
    mistakes = planted_mistakes(planted)
    decisions = Decisions(lines=[])
    for row in sorted(_provenance(release_dir), key=lambda row: _rank(seed, row["id"]))[:num_rows]:
        mistake = mistakes.get(row["seed"])
        line: dict[str, Any] = {"sample_id": row["id"]}
        if mistake is None:
            decisions.num_accepted += 1
            line |= {"verdict": "accept"}
        elif edits := _mend(mistake, row):
            decisions.num_mended += 1
            line |= {"edits": edits, "reasons": [mistake["mistake"]]}
        else:
            decisions.num_rejected += 1
            line |= {"verdict": "reject", "reasons": [mistake["mistake"]]}
        decisions.lines.append(line)
    return decisions


def write_decisions(path: Path, decisions: Decisions) -> None:
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in decisions.lines))


def _provenance(release_dir: Path) -> Iterator[dict[str, Any]]:
    for shard in sorted((release_dir / "data" / "provenance").glob("*.parquet")):
        yield from read_records(shard, ["id", "seed", "task_type", "modality", "revision"])


def _rank(seed: int, sample_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{sample_id}".encode()).digest()


def _mend(mistake: dict[str, Any], row: dict[str, Any]) -> dict[str, Any] | None:
    """Edits that put right what the mistake spoilt; None when the row is to be rejected."""
    if mistake["mistake"] not in _MENDED or not mistake.get("correct"):
        return None
    names = draft_names(Cell(row["task_type"], row["modality"]))
    right = {field: mistake["correct"][name] for field, name in names.items()}
    edits: dict[str, Any] = {
        field: text for field, text in right.items() if text != row["revision"][field]
    }
    if "negative_text" in edits:
        edits["negative_texts"] = [edits.pop("negative_text")]
    return edits or None
