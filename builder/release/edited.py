"""A row that reviewers mended goes through the row checks again, as a teacher's does."""

from dataclasses import dataclass
from typing import Any

import orjson

from builder.checks import RULES, CheckReport, check_edit
from builder.config import ChecksConfig
from schemas.sample import Draft, Evaluation, Sample

#: Checks that are made anew; others, such as `json_repaired`, tell of the reply and stay.
_REPEATED = {*(rule.__name__ for rule in RULES), "language"}


@dataclass(frozen=True, slots=True)
class EditReport:
    """What the checks say of a mended row.

    Args:
        reason: Why it is dropped, `edit_answer_leak` and the like; None keeps it.
        is_disputed: An identifier takes a text for another language; a person outranks it.
        provenance: The row's provenance with these checks and votes; the very
            bytes it was given where they say what was said before.
    """

    reason: str | None
    is_disputed: bool
    provenance: bytes


def check_edited(sample: Sample, provenance: bytes, config: ChecksConfig) -> EditReport:
    """Checks a mended row once for each of its hard negatives.

    Args:
        sample: The row with its edits.
        provenance: How the row came about, as JSON.
        config: Bounds and identifiers.
    """
    facts: dict[str, Any] = orjson.loads(provenance)
    evaluation = Evaluation.model_validate(facts["evaluation"])
    reports = [
        check_edit(sample.cell, sample.language, _draft(sample, negative), evaluation, config)
        for negative in sample.negative_texts
    ]
    reason = next((report.reason for report in reports if report.reason), None)
    if reason is not None:
        return EditReport(f"edit_{reason}", False, provenance)
    fresh = _checks(facts["checks"], reports), _votes(reports)
    if fresh != (facts["checks"], facts["language_votes"]):
        facts["checks"], facts["language_votes"] = fresh
        provenance = orjson.dumps(facts)
    return EditReport(None, any(report.is_disputed for report in reports), provenance)


def _draft(sample: Sample, negative: str | None) -> Draft:
    return Draft(
        instruction=sample.instruction,
        query_text=sample.query_text,
        positive_text=sample.positive_text,
        negative_text=negative,
    )


def _checks(before: list[dict[str, str]], reports: list[CheckReport]) -> list[dict[str, str]]:
    """One entry a check: `abstained` if it abstained for any negative, none if disputed for any."""
    results = [{result.check: result.result for result in report.results} for report in reports]
    merged = {
        name: "kept" if all(result[name] == "kept" for result in results) else "abstained"
        for name in results[0]
        if all(name in result for result in results)
    }
    told = [entry for entry in before if entry["check"] not in _REPEATED]
    return told + [{"check": name, "result": result} for name, result in merged.items()]


def _votes(reports: list[CheckReport]) -> list[dict[str, Any]]:
    votes = dict.fromkeys(vote for report in reports for vote in report.votes)
    return [vote.model_dump(mode="json") for vote in votes]
