"""The scripted reviewer: it knows which mistakes the teacher planted, and decides accordingly."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from builder.lexicon_teacher import read_planted
from schemas.reasons import ReasonCode
from schemas.reply import draft_names
from schemas.shards import read_records
from schemas.vocabulary import Cell

NAME = "scripted-reviewer"

#: Reason the reviewer gives for each mistake a kept row can still carry; a reply of broken form
#: was asked for again and came out right.
_REASONS: dict[str, ReasonCode] = {
    "wrong_language": "wrong_language",
    "answer_leak": "answer_leak",
    "wrong_concept": "positive_wrong",
    "swapped_negative": "negative_correct",
}
#: Mistakes whose right version the reviewer writes; the others it rejects.
_EDITED = {"wrong_concept", "wrong_language"}


@dataclass(slots=True)
class Decisions:
    """What the reviewer decided, a line a row, and which mistakes it put right."""

    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    num_accepted: int = 0
    num_edited: int = 0
    num_rejected: int = 0
    mistakes: Counter[str] = field(default_factory=Counter[str])


def planted_mistakes(path: Path) -> dict[int, dict[str, Any]]:
    """Mistakes the teacher says it made, by the seed of the request."""
    return {int(entry["seed"]): entry for entry in read_planted(path)}


def decide(release_dir: Path, planted: Path, num_rows: int, seed: int) -> Decisions:
    """Goes through a seeded sample of a release.

    Args:
        release_dir: A release directory; its provenance tells each row's seed.
        planted: The teacher's list of mistakes.
        num_rows: Rows to look at.
        seed: Decides which.

    Returns:
        One decision a row: the mistakes among them edited or rejected, the
        rest accepted.
    """
    mistakes = planted_mistakes(planted)
    decisions = Decisions()
    for row in sorted(_provenance(release_dir), key=lambda row: _rank(seed, row["id"]))[:num_rows]:
        mistake = mistakes.get(row["seed"])
        wrong = {}
        if mistake is not None and mistake["mistake"] in _REASONS:
            wrong = _wrong_fields(mistake, row)
        line: dict[str, Any] = {"sample_id": row["id"]}
        if mistake is None or not wrong:
            decisions.num_accepted += 1
            line |= {"verdict": "accept"}
        else:
            kind = mistake["mistake"]
            decisions.mistakes[kind] += 1
            line |= {"reasons": [_REASONS[kind]]}
            if kind in _EDITED:
                decisions.num_edited += 1
                line |= {"edits": wrong}
            else:
                decisions.num_rejected += 1
                line |= {"verdict": "reject"}
        decisions.lines.append(line)
    return decisions


def standing_mistakes(release_dir: Path, planted: Path) -> dict[str, ReasonCode]:
    """Why each row of a version that carries a planted mistake is to be rejected, by its id."""
    mistakes = planted_mistakes(planted)
    found: dict[str, ReasonCode] = {}
    for row in _provenance(release_dir):
        mistake = mistakes.get(row["seed"])
        if mistake is not None and mistake["mistake"] in _REASONS and _wrong_fields(mistake, row):
            found[row["id"]] = _REASONS[mistake["mistake"]]
    return found


def write_decisions(path: Path, decisions: Decisions) -> None:
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in decisions.lines))


def _provenance(release_dir: Path) -> Iterator[dict[str, Any]]:
    for shard in sorted((release_dir / "data" / "provenance").glob("*.parquet")):
        yield from read_records(shard, ["id", "seed", "task_type", "modality", "revision"])


def _rank(seed: int, sample_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{sample_id}".encode()).digest()


def _wrong_fields(mistake: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The texts the mistake spoilt, put right; empty where the row came out right after all."""
    names = draft_names(Cell(row["task_type"], row["modality"]))
    right = {field: mistake["correct"][name] for field, name in names.items()}
    edits: dict[str, Any] = {
        field: text for field, text in right.items() if text != row["revision"][field]
    }
    if "negative_text" in edits:
        edits["negative_texts"] = [edits.pop("negative_text")]
    return edits
