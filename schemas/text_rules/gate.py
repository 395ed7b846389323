"""All row checks in order, the cheap ones first; the first one that objects decides."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.sample import CheckResult, Draft, Evaluation, LanguageVote
from schemas.text_rules.artefacts import (
    escaped_text,
    image_placeholder,
    malformed_text,
    markup,
    prompt_echo,
    refusal,
)
from schemas.text_rules.bounds import empty_text, low_score, repetition, too_long
from schemas.text_rules.candidate import Candidate
from schemas.text_rules.language import check_language
from schemas.text_rules.leakage import answer_leak, query_repeats_instruction
from schemas.text_rules.mojibake import wrongly_decoded
from schemas.text_rules.negatives import (
    lopsided_negative,
    near_duplicate_negative,
    negative_equals_positive,
    negative_equals_query,
)
from schemas.text_rules.settings import TextRulesConfig
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
    markup,
    wrongly_decoded,
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
        results: One entry for each check that the row passed, in order.
        votes: What language identifiers said, text by text.
        is_disputed: They took a text for another language, and its writer was
            believed; `language` is then not among the results.
    """

    reason: str | None
    results: tuple[CheckResult, ...]
    votes: tuple[LanguageVote, ...]
    is_disputed: bool = False


def check_revision(
    cell: Cell,
    language: str,
    draft: Draft,
    evaluation: Evaluation,
    config: TextRulesConfig,
) -> CheckReport:
    """Runs every row check on the texts that would be kept.

    Args:
        cell: Task type and modality combination of the job.
        language: Code of the language the job asked for.
        draft: The revised texts.
        evaluation: The teacher's self-evaluation.
        config: Limits, identifiers and minimum scores.
    """
    return _check(Candidate(cell, LANGUAGES[language], draft, evaluation, config))


def check_edit(cell: Cell, language: str, draft: Draft, config: TextRulesConfig) -> CheckReport:
    """Runs every row check on texts that a reviewer edited.

    Two rules defer to the reviewer: a vote of the identifiers for another language
    of the right script only makes the report disputed, and the teacher's
    scores are ignored, as they were given to other texts.

    Args:
        cell: Task type and modality combination of the row.
        language: Code of the row's language.
        draft: The texts as edited.
        config: Bounds and identifiers.
    """
    candidate = Candidate(cell, LANGUAGES[language], draft, None, config)
    return _check(candidate, trusts_writer=True)


def _check(candidate: Candidate, *, trusts_writer: bool = False) -> CheckReport:
    for index, rule in enumerate(RULES):
        reason = rule(candidate)
        if reason:
            return CheckReport(reason, _KEPT[:index], ())
    found = check_language(candidate, trusts_writer=trusts_writer)
    if found.reason or found.is_disputed:
        return CheckReport(found.reason, _KEPT, found.votes, found.is_disputed)
    last = _LANGUAGE_ABSTAINED if found.has_abstained else _LANGUAGE_KEPT
    return CheckReport(None, (*_KEPT, last), found.votes)
