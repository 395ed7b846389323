"""Sound replies to plant mistakes in, composed from the demo's lexicon and the tests' sentences."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from builder.images.pictograms import Pictogram, load_pictograms
from builder.job import Job
from builder.lexicon_teacher.compose import compose_reply
from builder.lexicon_teacher.lexicon import bundled_lexicon
from builder.lexicon_teacher.recognise import Drawing
from builder.lexicon_teacher.request import TeacherRequest
from builder.lexicon_teacher.scene import CannotAnswerError, Scene
from schemas.reply import draft_names
from schemas.vocabulary import CELL_BY_NAME, CELLS, LANGUAGES, Cell, ImageRole

SENTENCES_PATH = Path(__file__).parents[1] / "tests" / "schemas" / "text_rules" / "sentences.json"
#: Their sentences are those of another language.
_SAME_SENTENCES = ("hr", "sr")
_LENGTHS = ("short", "medium", "long")
#: Texts of a sentence row as indexes into a language's parts: two sentences, then their halves.
#: No pair shares so much with another that the two are near-duplicates.
_SOUND_PAIRS = ((0, 1), (2, 5), (4, 3))
_SPARE_PAIRS = ((2, 3), (4, 5), (3, 5))


@dataclass(frozen=True)
class Row:
    """A job and the reply to it.

    Args:
        job: What was asked for; its images are names only.
        reply: The reply object.
        is_sentence: Whether its texts are sentences, not names and keywords.
        finish_reason: As the endpoint gives it.
        content: The message where it is not the reply's JSON.
    """

    job: Job
    reply: dict[str, Any]
    is_sentence: bool = False
    finish_reason: str = "stop"
    content: str | None = None

    @property
    def texts(self) -> dict[str, str]:
        """The revision's texts under the row's own names; the instruction among them."""
        names = {"instruction": "instruction"} | draft_names(self.job.cell)
        return {field: self.reply["revision"][name] for field, name in names.items()}

    def with_texts(self, **texts: str) -> "Row":
        """The row with some texts of its revision replaced."""
        names = {"instruction": "instruction"} | draft_names(self.job.cell)
        changed = {names[field]: text for field, text in texts.items()}
        return replace(self, reply={**self.reply, "revision": self.reply["revision"] | changed})


def sound_rows(num: int, seed: int, *, spare: bool = False) -> Iterator[Row]:
    """Rows without a mistake, evenly over the 93 languages and ten cells.

    Args:
        num: How many.
        seed: The same seed gives the same rows.
        spare: Give rows that share no sentence pair with those given without it.
    """
    rng = Random(f"{seed}|{spare}")
    languages = list(LANGUAGES)
    pairs = _SPARE_PAIRS if spare else _SOUND_PAIRS
    first = 10**6 if spare else 0
    given = 0
    for number in count():
        if given == num:
            return
        language = languages[number % len(languages)]
        turn = number // len(languages) % 7
        cell = CELLS[(number * 7 + number // len(languages)) % len(CELLS)]
        take = number // len(languages) // 7
        if turn == 0 and take < len(pairs) and language not in _SAME_SENTENCES:
            row = _sentence_row(language, pairs[take], first + number, rng)
        else:
            row = _lexicon_row(cell, language, first + number, rng)
        if row is not None:
            given += 1
            yield row


@cache
def parts_of(language: str) -> tuple[str, ...]:
    """Two sentences of a language, and the halves of each."""
    first, second = json.loads(SENTENCES_PATH.read_text(encoding="utf-8"))[language]
    return (first, second, *_halves(first), *_halves(second))


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    if len(words) < 6:
        return text[: len(text) // 2], text[len(text) // 2 :]
    half = len(words) // 2
    return " ".join(words[:half]), " ".join(words[half:])


def shuffled(text: str) -> str:
    """Another text of the same language, words and length."""
    words = text.split()
    if len(words) < 3:
        return text[len(text) // 2 :] + text[: len(text) // 2]
    return " ".join(reversed(words))


@cache
def _concepts() -> list[Pictogram]:
    return [concept for concept in load_pictograms() if len(concept.texts) > 1]


def _lexicon_row(cell: Cell, language: str, number: int, rng: Random) -> Row | None:
    lexicon = bundled_lexicon()
    known = [concept for concept in rng.sample(_concepts(), 40) if language in concept.texts]
    if not known:
        return None
    subject = known[0]
    distractor = lexicon.relative(subject, language, rng)
    if distractor is None:
        return None
    query = subject if cell.query_has_image else None
    shown: dict[ImageRole, Pictogram] = {
        "query": subject,
        "positive": subject,
        "negative": distractor,
    }
    drawings: tuple[tuple[ImageRole, Drawing], ...] = tuple(
        (role, (shown[role], "noto")) for role in cell.image_roles
    )
    job = _job(cell, language, number, tuple(shown[role].concept for role in cell.image_roles), rng)
    request = TeacherRequest(
        cell,
        language,
        str(number),
        _parameters(job),
        (),
        num_prompt_chars=0,
        max_tokens=None,
        is_correction=False,
    )
    try:
        scene = Scene(drawings, query, subject, distractor)
        return Row(job, compose_reply(request, scene, lexicon))
    except CannotAnswerError:
        return None


def _sentence_row(language: str, pair: tuple[int, int], number: int, rng: Random) -> Row | None:
    row = _lexicon_row(CELL_BY_NAME["retrieval_it2t"], language, number, rng)
    if row is None:
        return None
    query, positive = (parts_of(language)[place] for place in pair)
    texts = {"query_text": query, "positive_text": positive, "negative_text": shuffled(positive)}
    return replace(row.with_texts(**texts), is_sentence=True)


def _job(cell: Cell, language: str, number: int, concepts: tuple[str, ...], rng: Random) -> Job:
    images = tuple(
        sha256(f"{concept}|{place}|{number % 4}".encode()).hexdigest()
        for place, concept in enumerate(concepts)
    )
    return Job(
        id=f"{number:024x}",
        round=0,
        index=number,
        cell=cell,
        language=language,
        seed=number,
        images=images,
        length=rng.choice(_LENGTHS),
        difficulty="medium",
        text_register="plain",
        task_idea="",
    )


def _parameters(job: Job) -> dict[str, str]:
    return {
        "query length": job.length,
        "difficulty": job.difficulty,
        "register": job.text_register,
        "task idea": job.task_idea,
    }
