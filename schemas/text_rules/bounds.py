"""Checks of size: no empty and no endless text, no score below the configured minimum."""

import re

from schemas.text_rules.candidate import Candidate

_WORD_CHARACTER = re.compile(r"[^\W_]|[^\x00-\x7F]")
_MIN_RUN_CHARS = 16
_SAME_CHARACTER = re.compile(rf"(\S)\1{{{_MIN_RUN_CHARS - 1}}}")
#: Below this share of different words a long text repeats itself.
_MIN_DISTINCT_SHARE = 0.25
_MIN_WORDS_TO_COUNT = 24


def empty_text(candidate: Candidate) -> str | None:
    """Published mmE5 has empty documents; a text needs at least one letter, digit or symbol."""
    for text in candidate.all_texts:
        if not _WORD_CHARACTER.search(text) or text.isspace():
            return "empty_text"
    return None


def too_long(candidate: Candidate) -> str | None:
    """Every trainer truncates longer texts, and they come from models that did not stop."""
    config, draft = candidate.config, candidate.draft
    if max(len(draft.instruction), len(draft.query_text or "")) > config.max_query_chars:
        return "too_long"
    documents = (draft.positive_text or "", draft.negative_text or "")
    return "too_long" if max(map(len, documents)) > config.max_document_chars else None


def repetition(candidate: Candidate) -> str | None:
    """A model caught in a loop repeats a character or its words over and over."""
    for text in candidate.all_texts:
        words = text.split()
        if len(words) >= _MIN_WORDS_TO_COUNT and (
            len(set(words)) < len(words) * _MIN_DISTINCT_SHARE
        ):
            return "repetition"
        longest = max(words, key=len, default="")
        if len(longest) >= _MIN_RUN_CHARS and _SAME_CHARACTER.search(text):
            return "repetition"
    return None


def low_score(candidate: Candidate) -> str | None:
    """The teacher's own score is below `checks.min_scores`; off unless configured.

    The paper keeps every revision whatever its score, so the default does too.
    """
    if candidate.evaluation is None:
        return None
    for criterion, least in candidate.config.min_scores.items():
        if getattr(candidate.evaluation, criterion).score < least:
            return f"low_{criterion}"
    return None
