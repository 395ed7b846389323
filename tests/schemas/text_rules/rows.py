"""Small rows for the checks, with one thing changed at a time."""

import json
from functools import cache
from pathlib import Path

from builder.checks_config import ChecksConfig
from schemas.sample import Criterion, Draft, Evaluation
from schemas.text_rules.candidate import Candidate
from schemas.vocabulary import CELL_BY_NAME, LANGUAGES

INSTRUCTION = "Find the passage that describes what the person in the picture is doing."


@cache
def load_sentences() -> dict[str, tuple[str, str]]:
    """Two sentences in each of the 93 languages, written for these tests or from the UDHR."""
    content = Path(__file__).with_name("sentences.json").read_text(encoding="utf-8")
    return {code: (first, second) for code, (first, second) in json.loads(content).items()}


def make_evaluation(score: int = 4) -> Evaluation:
    criterion = Criterion(score=score, reason="Fair.")
    return Evaluation(
        relevance=criterion,
        plausibility=criterion,
        clarity=criterion,
        diversity=criterion,
        improvements="None.",
    )


def make_draft(
    query: str | None = "What is the man on the bench holding in his hands?",
    positive: str | None = "He reads the morning paper while his dog sleeps beside him.",
    negative: str | None = "He feeds the grey pigeons while his dog sleeps beside him.",
    instruction: str = INSTRUCTION,
) -> Draft:
    return Draft(
        instruction=instruction,
        query_text=query,
        positive_text=positive,
        negative_text=negative,
    )


def make_candidate(
    draft: Draft,
    cell: str = "retrieval_it2t",
    language: str = "en",
    config: ChecksConfig | None = None,
    score: int = 4,
) -> Candidate:
    return Candidate(
        CELL_BY_NAME[cell],
        LANGUAGES[language],
        draft,
        make_evaluation(score),
        config or ChecksConfig(),
    )
