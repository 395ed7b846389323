"""A row that reviewers mended goes through the row checks again, as a teacher's does."""

from dataclasses import dataclass
from typing import Any

import orjson

from builder.checks import check_edit
from builder.config import ChecksConfig
from schemas.sample import Draft, Evaluation, Sample


@dataclass(frozen=True, slots=True)
class EditReport:
    """What the checks say of a mended row.

    Args:
        reason: Why it is dropped, `edit_answer_leak` and the like; None keeps it.
        is_disputed: An identifier takes a text for another language; a person outranks it.
    """

    reason: str | None
    is_disputed: bool


def check_edited(sample: Sample, provenance: bytes, config: ChecksConfig) -> EditReport:
    """Checks a mended row once for each of its hard negatives.

    Provenance stays as it is, as it tells of the generated texts; so one edit
    changes one shard of rows and none of provenance.

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
        return EditReport(f"edit_{reason}", False)
    return EditReport(None, any(report.is_disputed for report in reports))


def _draft(sample: Sample, negative: str | None) -> Draft:
    return Draft(
        instruction=sample.instruction,
        query_text=sample.query_text,
        positive_text=sample.positive_text,
        negative_text=negative,
    )
