"""Judges samples from the lexicon: scores one, or chooses among candidates, and errs now and then.

What a text says is compared with what the lexicon says of the drawings: a text fits a concept as
far as its parts are the concept's name and keywords. A request to judge has no seed; it holds the
sample's texts, or candidates, as JSON.
"""

import re
from collections.abc import Mapping
from random import Random
from typing import Any

import orjson

from builder.images.pictograms import Pictogram
from builder.lexicon_teacher.questions import load_questions
from builder.lexicon_teacher.recognise import Recogniser
from builder.lexicon_teacher.request import JudgeRequest, RequestError
from builder.lexicon_teacher.scene import CannotAnswerError

#: A careful person errs, too.
ERROR_RATE = 0.03
_PARTS = re.compile(r"[,:;()–،፣、၊]|\s[-–]\s")
_MIN_FIT = 0.5


def judge(request: JudgeRequest, recogniser: Recogniser) -> dict[str, Any]:
    """The reply to a request to score a sample or to choose.

    Raises:
        CannotAnswerError: An image is not in the corpus.
        RequestError: The texts are no JSON of the kind asked for.
    """
    shown: dict[str, Pictogram] = {}
    for role, content in request.images:
        drawing = recogniser.find(content)
        if drawing is None:
            raise CannotAnswerError(f"I do not recognise the {role} image")
        shown[role] = drawing[0]
    rng = Random(f"judge|{request.text}")
    if request.candidates is not None:
        return _choose(request, shown, rng)
    return _score(request, shown, rng)


def _choose(request: JudgeRequest, shown: Mapping[str, Pictogram], rng: Random) -> dict[str, Any]:
    query, candidates = _object(request.query), _objects(request.candidates)
    fits = [
        _fit(request.language, query, shown.get("query"), one, shown.get(f"candidate_{number}"))
        for number, one in enumerate(candidates, 1)
    ]
    ranked = sorted(range(len(fits)), key=lambda place: (fits[place], rng.random()), reverse=True)
    if len(ranked) > 1 and rng.random() < ERROR_RATE:
        ranked[0], ranked[1] = ranked[1], ranked[0]
    best = ranked[0]
    # Every part of a text that is no distraction belongs to the thing asked for.
    also = [
        number + 1
        for number, fit in enumerate(fits)
        if number != best and fit >= 1.0 and fit >= fits[best]
    ]
    reason = "Its words and pictures belong to what the query asks for more than the others'."
    return {"reason": reason, "best": best + 1, "also_right": also}


def _score(request: JudgeRequest, shown: Mapping[str, Pictogram], rng: Random) -> dict[str, Any]:
    texts = _object(request.texts)
    query = {"query_text": texts.get("query_text")}
    positive, negative = (
        _fit(
            request.language,
            query,
            shown.get("query"),
            {"text": texts.get(f"{role}_text")},
            shown.get(role),
        )
        for role in ("positive", "negative")
    )
    sound = 5 if rng.random() < 0.7 else 4
    scores = {
        "relevance": sound if positive >= _MIN_FIT else 1,
        "plausibility": 1 if negative >= 1.0 and negative >= positive else sound,
        "clarity": 5 if rng.random() < 0.6 else 4,
        "diversity": rng.choice((5, 4, 4, 3)),
    }
    reason = "Judged by what the lexicon says of the drawings."
    return {
        **{name: {"score": score, "reason": reason} for name, score in scores.items()},
        "improvements": "Nothing is needed." if min(scores.values()) > 2 else "Correct the texts.",
    }


def _fit(
    language: str,
    query: Mapping[str, Any],
    query_drawing: Pictogram | None,
    candidate: Mapping[str, Any],
    drawing: Pictogram | None,
) -> float:
    """How well a candidate answers, from 0 to 1: the mean of what can be compared."""
    found: list[float] = []
    text, asked = candidate.get("text"), query.get("query_text")
    if text is not None and (subject := drawing or query_drawing) is not None:
        found.append(_share_known(text, subject, language))
    if asked is not None and drawing is not None:
        found.append(_share_known(asked, drawing, language))
    elif query_drawing is not None and drawing is not None:
        found.append(float(query_drawing.group == drawing.group))
    return sum(found) / len(found) if found else 0.0


def _share_known(text: str, concept: Pictogram, language: str) -> float:
    """Share of a text's parts that are the concept's name or keywords; the name counts twice."""
    words = concept.texts.get(language)
    if words is None:
        return 0.0
    name, known = words.name.casefold(), {keyword.casefold() for keyword in words.keywords}
    whole = text.casefold().strip()
    if whole == name or whole in known:
        return 1.0
    questions = {question.casefold() for question in load_questions()[language].values()}
    total = hits = 0.0
    for part in _parts(whole):
        if part in questions:
            continue
        weight = 2.0 if part == name else 1.0
        total += weight
        hits += weight * (part == name or part in known)
    return hits / total if total else 0.5  # a bare question says nothing of either


def _parts(text: str) -> list[str]:
    return [part.strip() for part in _PARTS.split(text) if part.strip()]


def _object(text: str | None) -> dict[str, Any]:
    found = _json(text)
    if not isinstance(found, dict):
        raise RequestError("a line of the parameters block is not a JSON object")
    return found


def _objects(text: str | None) -> list[dict[str, Any]]:
    found = _json(text)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RequestError("`Candidates:` is not a JSON list of objects")
    return found


def _json(text: str | None) -> Any:
    try:
        return orjson.loads(text or "")
    except orjson.JSONDecodeError as exc:
        raise RequestError(f"a line of the parameters block is not JSON: {exc}") from exc
