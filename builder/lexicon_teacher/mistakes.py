"""Deliberate mistakes at stated rates, each recorded so that reviewers can be measured."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from random import Random
from typing import Any

from builder.lexicon_teacher.compose import write_draft
from builder.lexicon_teacher.lexicon import Lexicon
from builder.lexicon_teacher.request import TeacherRequest
from builder.lexicon_teacher.scene import CannotAnswerError, Scene
from schemas.reply import draft_names


@dataclass(frozen=True, slots=True)
class MistakeRates:
    """Share of replies with each mistake; a reply has one at most.

    A mistake that a cell cannot have (a leaked answer without a query text) is left out, so
    observed rates are slightly lower.

    Args:
        wrong_language: Texts in English, or in another script, instead of the asked language.
        broken_json: The JSON lacks its end, or prose follows it.
        answer_leak: The query text contains the positive text, label or answer.
        truncated: The reply stops midway with `finish_reason` "length".
        wrong_concept: The text that should name the positive names something else; no check of
            form can see it.
        swapped_negative: The negative text is a synonym of the positive.
    """

    wrong_language: float = 0.02
    broken_json: float = 0.015
    answer_leak: float = 0.02
    truncated: float = 0.01
    wrong_concept: float = 0.015
    swapped_negative: float = 0.015

    def __post_init__(self) -> None:
        if any(rate < 0 for rate in asdict(self).values()) or self.total > 1:
            raise ValueError(f"mistake rates must be >= 0 and sum to <= 1; got {asdict(self)}")

    @property
    def total(self) -> float:
        return sum(asdict(self).values())

    @classmethod
    def none(cls) -> "MistakeRates":
        """No mistakes at all."""
        return cls(**{field.name: 0.0 for field in fields(cls)})

    def draw(self, key: str) -> str | None:
        """The mistake for a request of this key, always the same for the same key."""
        position = Random(f"{key}|mistake").random()
        for name, rate in asdict(self).items():
            if position < rate:
                return name
            position -= rate
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to the client, and its mistake.

    Args:
        reply: The reply object; its text is `content` where that is None.
        content: The message as sent, if it differs from the reply's JSON.
        is_cut: Whether it ends as at the token limit.
        mistake: Name of the planted mistake, or None.
        detail: What was done, in a few words.
    """

    reply: dict[str, Any]
    content: str | None = None
    is_cut: bool = False
    mistake: str | None = None
    detail: str = ""

    @property
    def text(self) -> str:
        return write_json(self.reply) if self.content is None else self.content


def write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def plant(
    mistake: str, request: TeacherRequest, scene: Scene, reply: dict[str, Any], lexicon: Lexicon
) -> Answer | None:
    """Returns the reply with a mistake in it, or None if this cell or concept cannot have it."""
    rng = Random(f"{request.key}|{mistake}")
    if mistake in _CONTENT_MISTAKES:
        changed = _CONTENT_MISTAKES[mistake](request, scene, reply["revision"], lexicon, rng)
        if changed is None:
            return None
        revision, detail = changed
        wrong = {**reply, "revision": {**reply["revision"], **revision}}
        return Answer(wrong, mistake=mistake, detail=detail)
    text = write_json(reply)
    if mistake == "truncated":
        cut = text[: int(len(text) * rng.uniform(0.4, 0.9))]
        return Answer(reply, cut, is_cut=True, mistake=mistake, detail="stopped midway")
    if rng.random() < 0.5:
        return Answer(reply, text[:-1], mistake=mistake, detail="last brace missing")
    prose = f"{text}\n\nI hope this helps! {{Let me know}} if you need more."
    return Answer(reply, prose, mistake=mistake, detail="prose after the JSON")


Change = tuple[dict[str, str], str] | None
_Planter = Callable[[TeacherRequest, Scene, dict[str, str], Lexicon, Random], Change]

_OTHER_LANGUAGES = ("en", "en", "en", "ru", "ar", "hi", "ja", "de")


def _wrong_language(
    request: TeacherRequest, scene: Scene, revision: dict[str, str], lexicon: Lexicon, rng: Random
) -> Change:
    del revision
    others = [language for language in _OTHER_LANGUAGES if language != request.language]
    language = rng.choice(others)
    try:
        texts = write_draft(request, scene, lexicon, language, take="revision")
    except (CannotAnswerError, KeyError):
        return None
    del texts["instruction"]
    return (texts, f"written in {language}") if texts else None


def _answer_leak(
    request: TeacherRequest, scene: Scene, revision: dict[str, str], lexicon: Lexicon, rng: Random
) -> Change:
    del scene, lexicon
    names = draft_names(request.cell)
    if "query_text" not in names or "positive_text" not in names:
        return None
    query, answer = names["query_text"], revision[names["positive_text"]]
    leaked = rng.choice(("{query} ({answer})", "{answer}: {query}", "{query} {answer}"))
    return {query: leaked.format(query=revision[query], answer=answer)}, f"{query} holds the answer"


def _wrong_concept(
    request: TeacherRequest, scene: Scene, revision: dict[str, str], lexicon: Lexicon, rng: Random
) -> Change:
    names = draft_names(request.cell)
    name = names.get("positive_text") or names.get("query_text")
    if name is None:
        return None
    other = lexicon.stranger(scene.subject, request.language, rng)
    if other is None:
        return None
    elsewhere = replace(scene, query=other if scene.query else None, subject=other)
    try:
        texts = write_draft(request, elsewhere, lexicon, request.language, take="revision")
    except CannotAnswerError:
        return None
    if texts[name].casefold() == revision[name].casefold():
        return None
    return {name: texts[name]}, f"{name} is about {other.concept}, not {scene.subject.concept}"


def _swapped_negative(
    request: TeacherRequest, scene: Scene, revision: dict[str, str], lexicon: Lexicon, rng: Random
) -> Change:
    del lexicon
    names = draft_names(request.cell)
    if "negative_text" not in names:
        return None
    words = scene.subject.texts[request.language]
    positive = revision[names["positive_text"]].casefold()
    synonyms = [k for k in (words.name, *words.keywords) if k.casefold() not in positive]
    if not synonyms:
        return None
    name = names["negative_text"]
    return {name: rng.choice(synonyms)}, f"{name} is a synonym of the positive"


_CONTENT_MISTAKES: dict[str, _Planter] = {
    "wrong_language": _wrong_language,
    "answer_leak": _answer_leak,
    "wrong_concept": _wrong_concept,
    "swapped_negative": _swapped_negative,
}


class PlantedLog:
    """JSON lines of every planted mistake, once per job even if it is requested again."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            _cut_unfinished_line(path)
        self._known = {(m["seed"], m["mistake"]) for m in read_planted(path)} if path else set()

    def add(self, request: TeacherRequest, answer: Answer, correct: dict[str, str]) -> None:
        """Append one mistake, on disk when this returns."""
        key = (request.seed, answer.mistake)
        if self._path is None or key in self._known:
            return
        self._known.add(key)
        line = {
            "seed": request.seed,
            "task_type": request.cell.task_type,
            "modality": request.cell.modality,
            "language": request.language,
            "mistake": answer.mistake,
            "detail": answer.detail,
            "correct": correct,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(write_json(line) + "\n")


def read_planted(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the planted mistakes of a file; a missing file has none.

    An unfinished last line, left by a killed teacher, is skipped.
    """
    if path.exists():
        with path.open("rb") as file:
            yield from (json.loads(line) for line in file if line.endswith(b"\n"))


def _cut_unfinished_line(path: Path) -> None:
    """Removes an unfinished last line, left by a killed teacher."""
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
