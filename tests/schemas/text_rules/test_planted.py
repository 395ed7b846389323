"""Five rows in a hundred are spoilt on purpose; the checks find them and little else."""

from collections import Counter
from collections.abc import Callable
from random import Random

from builder.checks_config import ChecksConfig
from schemas.sample import Draft
from schemas.text_rules import check_revision
from schemas.text_rules.close_languages import group_of
from schemas.vocabulary import CELL_BY_NAME, LANGUAGES
from tests.schemas.text_rules.rows import load_sentences, make_draft, make_evaluation

CELL = CELL_BY_NAME["retrieval_it2t"]
NUM_ROWS = 3_000
SPOILT_SHARE = 0.05
INSTRUCTIONS = (
    "Find the passage that describes what the person in the picture is doing.",
    "Retrieve the entry of a travel guide that answers the question about this place.",
    "Given a photo and a remark, pick the reply that fits both.",
    "Match the product in the image with its listing under the stated condition.",
)


def reverse_words(text: str) -> str:
    """Another text of the same language and length."""
    return " ".join(reversed(text.split())) if " " in text else text[len(text) // 2 :] + text[:5]


def sound_row(rng: Random) -> tuple[str, Draft]:
    language = rng.choice(list(LANGUAGES))
    query, positive = rng.sample(load_sentences()[language], 2)
    return language, make_draft(query, positive, reverse_words(positive), rng.choice(INSTRUCTIONS))


def other_sentence(language: str, rng: Random) -> str:
    others = [code for code in LANGUAGES if code not in group_of(language)]
    return rng.choice(load_sentences()[rng.choice(others)])


Spoil = Callable[[Draft, str, Random], dict[str, str]]
SPOILERS: dict[str, Spoil] = {
    "query in another language": lambda d, c, r: {"query_text": other_sentence(c, r)},
    "positive in another language": lambda d, c, r: {"positive_text": other_sentence(c, r)},
    "negative in another language": lambda d, c, r: {"negative_text": other_sentence(c, r)},
    "answer leaked": lambda d, c, r: {"query_text": f"{d.query_text} ({d.positive_text})"},
    "negative is the positive": lambda d, c, r: {"negative_text": f"{d.positive_text} !"},
    "negative says more": lambda d, c, r: {"negative_text": f"{d.positive_text} {d.query_text}"},
    "empty": lambda d, c, r: {"positive_text": " "},
    "escaped": lambda d, c, r: {
        "negative_text": str(d.negative_text).encode("ascii", "backslashreplace").decode()
        + " &amp;"
    },
    "placeholder": lambda d, c, r: {"query_text": f"<|image_1|>\n{d.query_text}"},
    "echo": lambda d, c, r: {"negative_text": f"{d.negative_text} (hard negative)"},
    "refusal": lambda d, c, r: {"positive_text": "I'm sorry, but I can't assist with that."},
    "surrogate": lambda d, c, r: {"query_text": f"{d.query_text}\udc80"},
    "loop": lambda d, c, r: {"positive_text": "no " * 40},
    "endless": lambda d, c, r: {"positive_text": f"{d.positive_text} " * 200},
    "instruction not English": lambda d, c, r: {"instruction": other_sentence("en", r)},
}


def test_spoilt_rows_are_found_and_sound_ones_kept() -> None:
    rng = Random(5)
    num_spoilt = num_dropped = num_found = 0
    missed: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for _ in range(NUM_ROWS):
        language, draft = sound_row(rng)
        kind = rng.choice(list(SPOILERS)) if rng.random() < SPOILT_SHARE else None
        if kind:
            num_spoilt += 1
            draft = draft.model_copy(update=SPOILERS[kind](draft, language, rng))
        report = check_revision(CELL, language, draft, make_evaluation(), ChecksConfig())
        num_dropped += report.reason is not None
        num_found += kind is not None and report.reason is not None
        if kind and report.reason is None:
            missed[kind] += 1
        if report.reason and not kind:
            wrong[f"{report.reason} {language}"] += 1
    assert num_spoilt > 100
    assert num_found / num_spoilt >= 0.95, missed
    assert num_found / num_dropped >= 0.90, wrong


def test_every_kind_of_fault_is_found_in_most_languages() -> None:
    rng = Random(6)
    for kind, spoil in SPOILERS.items():
        found = 0
        for language in LANGUAGES:
            query, positive = load_sentences()[language]
            draft = make_draft(query, positive, reverse_words(positive))
            draft = draft.model_copy(update=spoil(draft, language, rng))
            report = check_revision(CELL, language, draft, make_evaluation(), ChecksConfig())
            found += report.reason is not None
        assert found / len(LANGUAGES) >= 0.95, (kind, found)
