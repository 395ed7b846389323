"""Checks of size: no empty and no endless text, no score below the configured minimum."""

import re

from schemas.text_rules.candidate import Candidate

#: An ASCII symbol alone says nothing; letters, digits and pictures do.
_SYMBOLS = "$+<=>^`|~ "
#: Letters by their category that show nothing: fillers of Hangul, and Braille without dots.
_BLANKS = "\u115f\u1160\u3164\uffa0\u2800"
_MIN_RUN_CHARS = 16
_SAME_CHARACTER = re.compile(rf"(\S)\1{{{_MIN_RUN_CHARS - 1}}}")
#: Below this share of different words a long text repeats itself.
_MIN_DISTINCT_SHARE = 0.25
_MIN_WORDS_TO_COUNT = 12
#: A run without spaces from here on, as Chinese and Thai write, is looked at three letters a time.
_MIN_UNSPACED_CHARS = 36
_UNSPACED_PART = 3


def empty_text(candidate: Candidate) -> str | None:
    """Published mmE5 has empty documents; a text needs at least one letter, digit or symbol."""
    normal_forms = (
        candidate.instruction,
        candidate.query,
        candidate.positive,
        candidate.negative,
    )
    for text in normal_forms:
        if text is not None and not text.strip(_SYMBOLS + _BLANKS):
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
        num_longest = max(map(len, words), default=0)
        if num_longest >= _MIN_RUN_CHARS and _SAME_CHARACTER.search(text):
            return "repetition"
        if num_longest >= _MIN_UNSPACED_CHARS and _is_loop(max(words, key=len)):
            return "repetition"
    return None


def _is_loop(text: str) -> bool:
    """Whether a text without spaces consists of few different parts."""
    num = len(text) - _UNSPACED_PART + 1
    parts = {text[start : start + _UNSPACED_PART] for start in range(num)}
    return len(parts) < num * _MIN_DISTINCT_SHARE


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
