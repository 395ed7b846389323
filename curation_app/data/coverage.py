"""What a version has of each language, task and modality, against what it was to have.

Counts come from the rows; targets from the `config.yaml` and what was dropped from the
`quality.json` of the release, where it has them.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from curation_app.data.quality import read_quality
from curation_app.data.query import VersionQuery
from schemas.language_shares import NAMES, named_shares
from schemas.sample import SCORES
from schemas.vocabulary import CELLS, LANGUAGES, TASK_TYPES, Cell, Slot

#: A release's own words; anything else in that file is counted under "other".
_REASON = re.compile(r"[a-z0-9_]{1,60}")
_MAX_FILE_BYTES = 20 * 2**20


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows that were dropped at a stage ("generation", "release") for a reason."""

    stage: str
    reason: str
    num_rows: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Rows against targets.

    Args:
        counts: Rows by slot; a slot without rows is missing.
        targets: Rows wanted by slot, not rounded; None where the release has no targets.
        scores: Rows by score, 1 to 5, for each of the teacher's criteria.
        alignments: Rows by alignment score in steps of 0.1, lowest first; empty without scores.
        drops: What was dropped and why; empty where the release does not say.
        drops_by_language: Rows dropped, by language.
    """

    counts: dict[Slot, int]
    targets: dict[Slot, float] | None
    scores: dict[str, dict[int, int]]
    alignments: dict[float, int]
    drops: list[Dropped]
    drops_by_language: dict[str, int]

    @property
    def cells(self) -> list[Cell]:
        """Cells with rows or a target, in the order of the vocabulary."""
        known = set(self.counts) | {slot for slot, want in (self.targets or {}).items() if want}
        present = {(task, modality) for task, modality, _ in known}
        return [cell for cell in CELLS if (cell.task_type, cell.modality) in present]

    @property
    def languages(self) -> list[str]:
        """Languages with rows or a target, by name."""
        known = {slot[2] for slot in self.counts}
        known |= {slot[2] for slot, wanted in (self.targets or {}).items() if wanted}
        return sorted(known, key=lambda code: LANGUAGES[code].name)

    def of_language(self, language: str) -> tuple[int, float | None]:
        """Rows and target of a language."""
        have = sum(count for slot, count in self.counts.items() if slot[2] == language)
        if self.targets is None:
            return have, None
        return have, sum(want for slot, want in self.targets.items() if slot[2] == language)


def read_coverage(query: VersionQuery) -> Coverage:
    """The coverage of a version.

    Raises:
        DatasetError: A shard is damaged.
    """
    dataset = query.dataset
    counts = {
        (task_type, modality, language): number
        for task_type, modality, language, number in query.counts_by(
            "task_type", "modality", "language"
        )
    }
    scores = {name: dict(query.counts_by(name)) for name in SCORES}
    alignments: Counter[float] = Counter()
    for alignment, number in query.counts_by("alignment"):
        if alignment is not None:
            alignments[round(int(alignment * 10) / 10, 1)] += number
    quality = read_quality(dataset.directory)
    return Coverage(
        counts,
        read_targets(dataset.directory / "config.yaml"),
        scores,
        dict(sorted(alignments.items())),
        _drops(quality),
        _drops_by_language(quality),
    )


def read_targets(path: Path) -> dict[Slot, float] | None:
    """Rows wanted by slot from a release's configuration.

    Shares of cells and languages are multiplied; the builder rounds them so
    that the totals are whole, hence may differ from this by a row.

    Returns:
        None where there is no configuration, or it cannot be read as one.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return None
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(config, dict) or not isinstance(config.get("num_samples"), int):
        return None
    by_language = _language_shares(config.get("languages", "mme5"))
    by_cell = _cell_shares(config)
    if not by_language or not by_cell:
        return None
    return {
        (cell.task_type, cell.modality, language): config["num_samples"] * share * inside
        for language, share in by_language.items()
        for cell, inside in by_cell.items()
    }


def _language_shares(languages: object) -> dict[str, float]:
    named: dict[str, dict[str, float]] = {name: named_shares(name) for name in NAMES}
    weights = _weights(named.get(languages) if isinstance(languages, str) else languages)
    return _normalised({code: weights.get(code, 0.0) for code in LANGUAGES})


def _cell_shares(config: Mapping[str, Any]) -> dict[Cell, float]:
    by_task = _weights(config.get("task_shares")) or {
        "classification": 1.0,
        "vqa": 1.0,
        "retrieval": 2.0,
    }
    by_task = _normalised({task: by_task.get(task, 0.0) for task in TASK_TYPES})
    given = config.get("modality_shares")
    by_modality = cast(dict[str, object], given) if isinstance(given, dict) else {}
    shares: dict[Cell, float] = {}
    for task, share in by_task.items():
        members = [cell for cell in CELLS if cell.task_type == task]
        weights = _weights(by_modality.get(task)) or {cell.modality: 1.0 for cell in members}
        inside = _normalised({cell.modality: weights.get(cell.modality, 0.0) for cell in members})
        shares |= {
            cell: share * inside[cell.modality] for cell in members if cell.modality in inside
        }
    return shares


def _weights(given: object) -> dict[str, float]:
    """Numbers above 0 by name; what is none is left out."""
    if not isinstance(given, dict):
        return {}
    return {
        str(name): float(value)
        for name, value in given.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    }


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    """Those above 0, so that they sum to 1."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items() if weight > 0}


def _drops(quality: Mapping[str, Any]) -> list[Dropped]:
    found: Counter[tuple[str, str]] = Counter()
    stages = quality.get("drops")
    for stage, reasons in stages.items() if isinstance(stages, dict) else ():
        for reason, number in _weights(reasons).items():
            found[_named(str(stage)), _named(reason)] += int(number)
    return [Dropped(stage, reason, number) for (stage, reason), number in found.most_common()]


def _drops_by_language(quality: Mapping[str, Any]) -> dict[str, int]:
    languages = quality.get("languages")
    if not isinstance(languages, dict):
        return {}
    dropped = {
        code: int(sum(n for name, n in _weights(counts).items() if name.startswith("dropped_")))
        for code, counts in languages.items()
        if code in LANGUAGES
    }
    return {code: number for code, number in dropped.items() if number}


def _named(name: str) -> str:
    return name if _REASON.fullmatch(name) else "other"
