"""Every rule over the whole set of kept samples, in the order that decides a sample's reason."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from builder.checks.across import without_repeats
from builder.checks.contradictions import without_contradictions
from builder.checks.near_duplicates import find_near_duplicates
from builder.checks.unwanted_text import WordList, personal_data_in, texts_of
from builder.checks_config import ChecksConfig

#: Job id and the sample's fields.
Row = tuple[str, Mapping[str, Any]]


def find_drops(rows: Iterable[Row], checks: ChecksConfig) -> dict[str, str]:
    """Samples to be dropped, and why; the same rows in the same order give the same answer.

    A sample that one rule drops is not there for the next: what repeats a dropped one stays. Rows
    are read once and pass from rule to rule; what is remembered of them is hashes, and their texts
    where near-duplicates are looked for.

    Args:
        rows: Job id and the sample's fields (`Sample.model_dump(mode="json")`), in job order.
        checks: Which rules are on, and their bounds.
    """
    drops: dict[str, str] = {}
    if checks.personal_data or checks.unsafe_words:
        rows = _without_unwanted(rows, checks, drops)
    rows = without_repeats(rows, drops, checks.max_instruction_repeats)
    if checks.contradictions:
        rows = without_contradictions(rows, drops)
    if checks.near_duplicate_similarity is not None:
        near = find_near_duplicates(rows, checks.near_duplicate_similarity)
        return drops | near
    for _ in rows:
        pass
    return drops


def _without_unwanted(
    rows: Iterable[Row], checks: ChecksConfig, drops: dict[str, str]
) -> Iterator[Row]:
    """The rows without personal data or listed words; the others go into `drops`."""
    words = WordList(checks.unsafe_words) if checks.unsafe_words else None
    for job_id, row in rows:
        reason = _unwanted(row, checks, words)
        if reason is None:
            yield job_id, row
        else:
            drops[job_id] = reason


def _unwanted(row: Mapping[str, Any], checks: ChecksConfig, words: WordList | None) -> str | None:
    if checks.personal_data:
        for text in texts_of(row):
            kind = personal_data_in(text, checks.personal_data)
            if kind is not None:
                return f"personal_data_{kind}"
    if words is not None and any(words.find(text, row["language"]) for text in texts_of(row)):
        return "unsafe_word"
    return None
