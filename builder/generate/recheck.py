"""Row checks once more over samples whose reply is not at hand, from the texts on record."""

from builder.config import ChecksConfig
from builder.generate.ledger import Ledger
from schemas.sample import CheckResult, Draft, Provenance, Sample
from schemas.text_rules import check_edit, check_revision

_REPAIRED = CheckResult(check="json_repaired", result="kept")
_ROWS_AT_ONCE = 500


def check_rows_on_record(ledger: Ledger, checks: ChecksConfig) -> int:
    """Keeps or drops every sample without a reply, as the checks are now; returns their number.

    So it is with the rows of a version that was pulled: what a model replied is not published.
    Texts that a reviewer mended are checked as edits are.
    """
    job_ids = ledger.unanswered_samples()
    for start in range(0, len(job_ids), _ROWS_AT_ONCE):
        with ledger.transaction():
            for job_id in job_ids[start : start + _ROWS_AT_ONCE]:
                ledger.set_outcome(job_id, *_outcome(*ledger.sample_and_provenance(job_id), checks))
    return len(job_ids)


def _outcome(row: bytes, origin: bytes, checks: ChecksConfig) -> tuple[str | None, bytes | None]:
    """Why a row is dropped, or its provenance with the checks it passed."""
    sample, provenance = Sample.model_validate_json(row), Provenance.model_validate_json(origin)
    results, votes = (), ()
    for negative_text in sample.negative_texts:
        texts = Draft(
            instruction=sample.instruction,
            query_text=sample.query_text,
            positive_text=sample.positive_text,
            negative_text=negative_text,
        )
        report = (
            check_revision(sample.cell, sample.language, texts, provenance.evaluation, checks)
            if texts == provenance.revision
            else check_edit(sample.cell, sample.language, texts, checks)
        )
        if report.reason is not None:
            return report.reason, None
        results, votes = report.results, report.votes
    repaired = (_REPAIRED,) if _REPAIRED in provenance.checks else ()
    update = {"checks": (*repaired, *results), "language_votes": votes}
    return None, provenance.model_copy(update=update).model_dump_json().encode()
