"""`run.json`: what a run of `build` did and what the workspace holds, for programs to read."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from builder.balance.variety import by_language, read_variety
from builder.balance.warning_signs import warning_signs
from builder.ledger.ledger import Ledger
from schemas.errors import naming

#: Name of the file in a workspace.
RUN_NAME = "run.json"
#: Raised by one whenever a field changes its meaning or goes.
RUN_SCHEMA_VERSION = 1
#: What became of too many, rather than of unfit, is no drop.
_NO_DEFECT = "surplus"


@dataclass(frozen=True, slots=True)
class RunReport:
    """The report as it is written, and its sentences about what looks wrong."""

    content: dict[str, Any]
    signs: tuple[str, ...]


@dataclass(slots=True)
class _Group:
    """Counts of a language or cell."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    replies: int = 0
    cost_usd: float | None = None

    def add_cost(self, replies: int, cost_usd: float | None) -> None:
        self.replies += replies
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd

    def as_json(self) -> dict[str, Any]:
        surplus = self.dropped[_NO_DEFECT]
        num_dropped = self.dropped.total() - surplus
        num = self.kept + surplus + num_dropped
        has_price = self.cost_usd is not None and self.kept > 0
        return {
            "kept": self.kept,
            "surplus": surplus,
            "dropped": num_dropped,
            "drop_share": round(num_dropped / num, 4) if num else None,
            "reasons": dict(self.dropped.most_common()),
            "replies": self.replies,
            "cost_usd": None if self.cost_usd is None else round(self.cost_usd, 6),
            "usd_per_kept": round((self.cost_usd or 0.0) / self.kept, 6) if has_price else None,
        }


def make_run_report(ledger: Ledger, run: Mapping[str, Any]) -> RunReport:
    """Counts, costs, drops and variety of a workspace.

    Args:
        ledger: What became of the jobs, of this run and of earlier ones.
        run: Facts about the run itself, written as they are.
    """
    languages: defaultdict[str, _Group] = defaultdict(_Group)
    cells: defaultdict[str, _Group] = defaultdict(_Group)
    for task, modality, language, reason, num in ledger.db.execute(_sql("outcome_counts")):
        for group in (languages[language], cells[f"{task} {modality}"]):
            if reason is None:
                group.kept += num
            else:
                group.dropped[reason] += num
    models = _add_costs(ledger, languages, cells)
    varieties = read_variety(ledger)
    signs = warning_signs(
        {code: group.kept for code, group in languages.items()},
        {code: _defects(group) for code, group in languages.items()},
        varieties,
    )
    whole = by_language(varieties)
    content = {
        "schema_version": RUN_SCHEMA_VERSION,
        "run": dict(run),
        "kept": sum(group.kept for group in languages.values()),
        "drops": dict(
            sum((group.dropped for group in languages.values()), Counter()).most_common()
        ),
        "models": models,
        "languages": {
            code: group.as_json() | (whole[code].as_json() if code in whole else {})
            for code, group in sorted(languages.items())
        },
        "cells": {name: group.as_json() for name, group in sorted(cells.items())},
        "variety": [
            {"task_type": task, "modality": modality, "language": language, "kept": found.num}
            | found.as_json()
            for (task, modality, language), found in sorted(varieties.items())
        ],
        "looks_wrong": signs,
    }
    return RunReport(content, tuple(signs))


def write_run_report(report: RunReport, path: Path) -> None:
    """Writes the report; a reader sees the whole of it or the one before."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with naming(path):
        temporary.write_bytes(orjson.dumps(report.content, option=orjson.OPT_INDENT_2) + b"\n")
        temporary.replace(path)


def _add_costs(
    ledger: Ledger, languages: defaultdict[str, _Group], cells: defaultdict[str, _Group]
) -> list[dict[str, Any]]:
    """Adds costs to the groups; returns those of each model."""
    models: dict[str | None, dict[str, Any]] = {}
    for model, task, modality, language, *figures in ledger.db.execute(_sql("costs")):
        num, prompt_tokens, completion_tokens, cost_usd = figures
        entry = models.setdefault(
            model,
            {
                "model": model,
                "replies": 0,
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "cost_usd": None,
            },
        )
        entry["replies"] += num
        entry["prompt_tokens"] += prompt_tokens
        entry["completion_tokens"] += completion_tokens
        if cost_usd is not None:
            entry["cost_usd"] = round((entry["cost_usd"] or 0.0) + cost_usd, 6)
        if language is not None:
            languages[language].add_cost(num, cost_usd)
            cells[f"{task} {modality}"].add_cost(num, cost_usd)
    return list(models.values())


def _defects(group: _Group) -> dict[str, int]:
    return {reason: num for reason, num in group.dropped.items() if reason != _NO_DEFECT}


@cache
def _sql(name: str) -> str:
    return files(__package__ or __name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
