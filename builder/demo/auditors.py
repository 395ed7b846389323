"""Scripted auditors: two reviewers who miss some defects, and a lead who settles what they dispute.

What they are shown is all they judge. A sample is wrong where its row carries a mistake that the
teacher planted, or where no row of the version has these texts and images together: then the audit
planted it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from builder.demo import reviewer
from schemas.sample import CONTENT_FIELDS

NAMES = ("scripted-auditor-1", "scripted-auditor-2")
LEAD = "scripted-lead"
#: Of the defects each auditor is shown, the share that passes unseen.
MISSED_SHARE = 0.15
#: Of the sound rows, the share that each rejects all the same.
FALSE_ALARM_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a version: its rows' contents, and which rows carry a mistake."""

    contents: frozenset[str]
    reasons: Mapping[str, str]

    def reason(self, shown: dict[str, Any]) -> str | None:
        """Why a sample is to be rejected; None where it is sound."""
        if _content(shown) not in self.contents:
            return "positive_wrong"
        return self.reasons.get(shown["id"])


def read_truth(release_dir: Path, planted: Path, rows: Iterable[dict[str, Any]]) -> Truth:
    """What is known of a version.

    Args:
        release_dir: The version; its provenance tells each row's seed.
        planted: The teacher's list of mistakes.
        rows: Its samples, as `shards.parse_record` gives them.
    """
    return Truth(
        contents=frozenset(map(_content, rows)),
        reasons=reviewer.standing_mistakes(release_dir, planted),
    )


def read_items(path: Path) -> Iterator[dict[str, Any]]:
    """Samples of a queue, as `curation_app queue items` writes them."""
    yield from map(orjson.loads, path.read_bytes().splitlines())


def decide(items: Iterable[dict[str, Any]], truth: Truth, name: str) -> list[dict[str, Any]]:
    """One decision an item; auditors err as their shares say, the lead never does."""
    return [_decision(item, truth.reason(item), name) for item in items]


def _decision(item: dict[str, Any], reason: str | None, name: str) -> dict[str, Any]:
    line = {"sample_id": item["id"]}
    chance = 1.0 if name == LEAD else _chance(name, item["id"])
    if reason is None:
        reason = "unnatural_text" if chance < FALSE_ALARM_SHARE else None
    elif chance < MISSED_SHARE:
        reason = None
    if reason is None:
        return line | {"verdict": "accept"}
    return line | {"verdict": "reject", "reasons": [reason]}


def _chance(name: str, sample_id: str) -> float:
    digest = hashlib.sha256(f"{name}:{sample_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _content(sample: dict[str, Any]) -> str:
    """What is shown of a sample, as one string."""
    shown = {name: sample[name] for name in CONTENT_FIELDS}
    return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode()
