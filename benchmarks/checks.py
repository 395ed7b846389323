"""What prompts and checks cost a sample, and how well the language gate parts right from wrong.

    python -m benchmarks.checks

Texts are the two sentences in each of the 93 languages that the tests use, whole and cut to their
first words (`tests/schemas/text_rules/sentences.json`). Wrong pairs are all pairs of languages that
share a script and are not one confusable group.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from builder.checks_config import ChecksConfig
from builder.job import Job
from builder.prompts import render_prompt
from builder.prompts.specimen import specimen_job
from schemas.sample import Criterion, Draft, Evaluation
from schemas.text_rules import check_revision
from schemas.text_rules.close_languages import group_of
from schemas.text_rules.language import judge
from schemas.text_rules.normal_form import CHARS_PER_WORD
from schemas.text_rules.scripts import has_wrong_script
from schemas.vocabulary import CELL_BY_NAME, CELLS, LANGUAGES

SENTENCES_PATH = Path(__file__).parents[1] / "tests" / "schemas" / "text_rules" / "sentences.json"
INSTRUCTION = "Find the passage that describes what the person in the picture is doing and where."
IDENTIFIERS = ("pycld2", "py3langid")


def main() -> None:
    sentences: dict[str, list[str]] = json.loads(SENTENCES_PATH.read_text(encoding="utf-8"))
    console = Console()
    console.print(describe_machine())
    _print_cost(console, sentences)
    _print_gate(console, sentences)


def _print_cost(console: Console, sentences: dict[str, list[str]]) -> None:
    criterion = Criterion(score=4, reason="Fair.")
    evaluation = Evaluation(
        relevance=criterion,
        plausibility=criterion,
        clarity=criterion,
        diversity=criterion,
        improvements="None.",
    )
    cell, config = CELL_BY_NAME["retrieval_it2t"], ChecksConfig()
    drafts = [
        (
            code,
            Draft(
                instruction=INSTRUCTION,
                query_text=first,
                positive_text=second,
                negative_text=f"{first} {second.split()[0]}",
            ),
        )
        for code, (first, second) in sentences.items()
    ]
    jobs = [specimen_job(cell, code) for cell in CELLS for code in LANGUAGES]
    table = Table("step", "us CPU a sample")
    table.add_row("render_prompt", _microseconds(lambda: _each(render_prompt, jobs), len(jobs)))
    table.add_row(
        "check_revision (four texts)",
        _microseconds(
            lambda: [
                check_revision(cell, code, draft, evaluation, config) for code, draft in drafts
            ],
            len(drafts),
        ),
    )
    console.print(table)


def _print_gate(console: Console, sentences: dict[str, list[str]]) -> None:
    table = Table("words", "right language kept", "wrong language found", "pairs of texts")
    for num_words in (3, 4, 5, 6, 8, 99):
        kept = [
            judge(_cut(text, code, num_words), code, IDENTIFIERS, 3)[0] != "contradicted"
            for code, pair in sentences.items()
            for text in pair
        ]
        found = [
            _is_found(_cut(text, actual, num_words), declared)
            for actual, pair in sentences.items()
            for declared in LANGUAGES
            if _is_wrong_pair(actual, declared)
            for text in pair
        ]
        table.add_row(
            "all" if num_words == 99 else str(num_words),
            f"{sum(kept) / len(kept):.1%}",
            f"{sum(found) / len(found):.1%}",
            f"{len(found):,}",
        )
    console.print(table)


def _is_found(text: str, declared: str) -> bool:
    if has_wrong_script(text, LANGUAGES[declared]):
        return True
    return judge(text, declared, IDENTIFIERS, 3)[0] == "contradicted"


def _is_wrong_pair(actual: str, declared: str) -> bool:
    shares = set(LANGUAGES[declared].scripts) & set(LANGUAGES[actual].scripts)
    return bool(shares) and declared not in group_of(actual)


def _cut(text: str, language: str, num_words: int) -> str:
    if language in CHARS_PER_WORD:
        return text[: num_words * CHARS_PER_WORD[language] * 3 // 2]
    return " ".join(text.split()[:num_words])


def _each(function: Callable[[Job], object], jobs: list[Job]) -> None:
    for job in jobs:
        function(job)


def _microseconds(run: Callable[[], object], num: int) -> str:
    """Best of ten runs, in CPU time."""
    best = float("inf")
    for _ in range(10):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return f"{best / num * 1e6:.0f}"


if __name__ == "__main__":
    main()
