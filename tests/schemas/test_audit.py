"""Audit designs and reports: bounds, and a report that survives its file."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.audit import (
    AuditDesign,
    AuditPopulation,
    AuditReportError,
    population_problem,
    read_audit_report,
)
from tests.schemas.finished_audit import audit_report


def test_a_report_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(audit_report().model_dump_json(), encoding="utf-8")
    assert read_audit_report(path) == audit_report()


def test_what_is_no_report_is_named_with_its_fault(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    with pytest.raises(AuditReportError, match=r"audit\.json: cannot be read"):
        read_audit_report(path)
    path.write_text('{"format": "polyscene-audit/9"}', encoding="utf-8")
    with pytest.raises(AuditReportError, match="not an audit report: format"):
        read_audit_report(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"overlap": 0},
        {"level": 1.0},
        {"seed": -1},
        {"purpose": {"kind": "sample_size", "num": 0}},
        {"purpose": {"kind": "precision", "half_width": 0}},
        {"purpose": {"kind": "guess"}},
        {"reviewer": "noor"},
    ],
)
def test_a_design_out_of_bounds_is_refused(changes: dict[str, object]) -> None:
    good = {"title": "Audit", "purpose": {"kind": "sample_size", "num": 10}}
    AuditDesign.model_validate(good)
    with pytest.raises(ValidationError):
        AuditDesign.model_validate({**good, **changes})


def test_a_population_names_a_language_of_the_vocabulary() -> None:
    assert population_problem(AuditPopulation(language="ar", modality="IT->T")) is None
    assert "not a language" in (population_problem(AuditPopulation(language="xx")) or "")
