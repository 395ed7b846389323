"""How well the language gate tells every pair of the 93 languages apart, and at what cost.

    python -m benchmarks.languages
    python -m benchmarks.languages --sentences my_sentences.json --least 0.95

Texts are the two sentences in each language that the tests use, whole and cut to their first words;
or those of a JSON file, an object of lists of texts by language code. A text of one language in a
job of another is found if the row would be dropped for its language or its script. Pairs that are
of one interchangeable group are listed by themselves: what is let through there is by design.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from schemas.text_rules.close_languages import CLOSE, INTERCHANGEABLE, group_of
from schemas.text_rules.language import judge
from schemas.text_rules.normal_form import CHARS_PER_WORD
from schemas.text_rules.scripts import has_wrong_script
from schemas.text_rules.settings import TextRulesConfig
from schemas.vocabulary import LANGUAGES

SENTENCES_PATH = Path(__file__).parents[1] / "tests" / "schemas" / "text_rules" / "sentences.json"
WHOLE = 1_000
Pair = tuple[str, str]
Sentences = dict[str, list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the language gate on every pair.")
    parser.add_argument("--sentences", type=Path, default=SENTENCES_PATH, help="JSON: code to list")
    parser.add_argument("--least", type=float, default=0.95, help="show pairs found less often")
    args = parser.parse_args()
    sentences: Sentences = json.loads(args.sentences.read_text(encoding="utf-8"))
    console = Console()
    console.print(describe_machine())
    found = _print_lengths(console, sentences)
    _print_false_drops(console, sentences)
    _print_weak_pairs(console, found, args.least)
    _print_groups(console, found)


def is_dropped(text: str, declared: str) -> bool:
    """Whether a text in a job of language `declared` is dropped for its language or script."""
    config = TextRulesConfig()
    identifiers = tuple(config.language_identifiers)
    if has_wrong_script(text, LANGUAGES[declared]):
        return True
    return judge(text, declared, identifiers, config.min_words_to_identify)[0] == "contradicted"


def find_pairs(sentences: Sentences, num_words: int) -> dict[Pair, float]:
    """Part of the texts of one language that is dropped in a job of the other, by pair."""
    return {
        (actual, declared): sum(is_dropped(text, declared) for text in texts) / len(texts)
        for actual, declared in permutations(sentences, 2)
        if (texts := [_cut(text, actual, num_words) for text in sentences[actual]])
    }


def _print_lengths(console: Console, sentences: Sentences) -> dict[Pair, float]:
    table = Table("words", "right language kept", "wrong language found", "us CPU a right text")
    whole: dict[Pair, float] = {}
    find_pairs(sentences, 4)  # loads the models, so that no row counts that
    for num_words in (3, 4, 6, 8, WHOLE):
        texts = [(_cut(text, code, num_words), code) for code, text in _each(sentences)]
        start = time.process_time()
        kept = [not is_dropped(text, code) for text, code in texts]
        microseconds = (time.process_time() - start) / len(texts) * 1e6
        found = find_pairs(sentences, num_words)
        outside = [part for pair, part in found.items() if pair[1] not in group_of(pair[0])]
        label = "all" if num_words == WHOLE else str(num_words)
        shares = (sum(kept) / len(kept), sum(outside) / len(outside))
        table.add_row(label, *(f"{share:.2%}" for share in shares), f"{microseconds:.0f}")
        whole = found
    console.print(table)
    return whole


def _print_false_drops(console: Console, sentences: Sentences) -> None:
    dropped = Counter(code for code, text in _each(sentences) if is_dropped(text, code))
    table = Table("language", "whole texts in it that are dropped", title="right texts dropped")
    for code, count in dropped.most_common():
        table.add_row(code, f"{count} of {len(sentences[code])}")
    console.print(table if dropped else "No whole text in its own language is dropped.")


def _print_weak_pairs(console: Console, found: dict[Pair, float], least: float) -> None:
    table = Table("text", "job", "dropped", title=f"whole texts found in less than {least:.0%}")
    outside = {pair: part for pair, part in found.items() if pair[1] not in group_of(pair[0])}
    for (actual, declared), part in sorted(outside.items(), key=lambda item: item[1]):
        if part < least:
            table.add_row(actual, declared, f"{part:.0%}")
    good = f"Every one of the {len(outside):,} pairs is found in {least:.0%} or more."
    console.print(table if table.row_count else good)


def _print_groups(console: Console, found: dict[Pair, float]) -> None:
    table = Table("close languages", "wrong language found", "let through", title="whole texts")
    for group in (*INTERCHANGEABLE, *CLOSE):
        inside = {p: found[p] for p in permutations(sorted(group), 2) if p in found}
        told = {p: part for p, part in inside.items() if p[1] not in group_of(p[0])}
        counted = told if group in CLOSE else inside
        let = " ".join(f"{a}>{d}" for (a, d), part in sorted(counted.items()) if part < 1)
        mean = sum(counted.values()) / len(counted) if counted else 0.0
        table.add_row(" ".join(sorted(group)), f"{mean:.1%}", let or "none")
    console.print(table)


def _each(sentences: Sentences) -> Iterator[tuple[str, str]]:
    return ((code, text) for code, texts in sentences.items() for text in texts)


def _cut(text: str, language: str, num_words: int) -> str:
    if language in CHARS_PER_WORD:
        return text[: num_words * CHARS_PER_WORD[language] * 3 // 2]
    return " ".join(text.split()[:num_words])


if __name__ == "__main__":
    main()
