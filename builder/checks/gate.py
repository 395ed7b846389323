"""All row checks in order, the cheap ones first; the first that objects decides."""

from collections.abc import Callable
from dataclasses import dataclass

from builder.checks.artefacts import (
    escaped_text,
    image_placeholder,
    malformed_text,
    prompt_echo,
    refusal,
)
from builder.checks.bounds import empty_text, low_score, repetition, too_long
from builder.checks.candidate import Candidate
from builder.checks.language import check_language
from builder.checks.leakage import answer_leak, query_repeats_instruction
from builder.checks.negatives import (
    lopsided_negative,
    near_duplicate_negative,
    negative_equals_positive,
    negative_equals_query,
)
from builder.config import ChecksConfig
from schemas.sample import CheckResult, Draft, Evaluation, LanguageVote
from schemas.vocabulary import LANGUAGES, Cell

#: A rule returns None to keep a candidate or a short reason to drop it.
Rule = Callable[[Candidate], str | None]

RULES: tuple[Rule, ...] = (
    too_long,
    malformed_text,
    empty_text,
    low_score,
    escaped_text,
    image_placeholder,
    prompt_echo,
    refusal,
    repetition,
    negative_equals_positive,
    negative_equals_query,
    near_duplicate_negative,
    lopsided_negative,
    answer_leak,
    query_repeats_instruction,
)
_KEPT = tuple(CheckResult(check=rule.__name__, result="kept") for rule in RULES)
_LANGUAGE_KEPT = CheckResult(check="language", result="kept")
_LANGUAGE_ABSTAINED = CheckResult(check="language", result="abstained")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Outcome of all row checks.

    Args:
        reason: Why the row is dropped; None keeps it.
        results: One entry for each check that let the row pass, in order.
        votes: What language identifiers said, text by text.
    """

    reason: str | None
    results: tuple[CheckResult, ...]
    votes: tuple[LanguageVote, ...]


def check_revision(
    cell: Cell,
    language: str,
    draft: Draft,
    evaluation: Evaluation,
    config: ChecksConfig,
) -> CheckReport:
    """Runs every row check on the texts that would be kept.

    Args:
        cell: Task type and modality combination of the job.
        language: Code of the language the job asked for.
        draft: The revised texts.
        evaluation: The teacher's self-evaluation.
        config: Bounds, identifiers and least scores.
    """
    candidate = Candidate(cell, LANGUAGES[language], draft, evaluation, config)
    for index, rule in enumerate(RULES):
        reason = rule(candidate)
        if reason:
            return CheckReport(reason, _KEPT[:index], ())
    found = check_language(candidate)
    if found.reason:
        return CheckReport(found.reason, _KEPT, found.votes)
    last = _LANGUAGE_ABSTAINED if found.has_abstained else _LANGUAGE_KEPT
    return CheckReport(None, (*_KEPT, last), found.votes)
