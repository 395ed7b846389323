"""Compose a whole reply: interpretations, draft, self-evaluation and revision."""

from random import Random
from typing import Any

from builder.images.pictograms import Pictogram
from builder.lexicon_teacher.instructions import write_instruction
from builder.lexicon_teacher.lexicon import Lexicon
from builder.lexicon_teacher.request import TeacherRequest
from builder.lexicon_teacher.scene import CannotAnswerError, Scene
from builder.lexicon_teacher.texts import Texts, Wording, Writer
from schemas.reply import draft_names

_STYLES = {
    "fluent-3d": "a glossy, three-dimensional pictogram",
    "noto": "a flat, coloured pictogram",
    "flag-icons": "a rectangular drawing of a flag",
    "circle-flags": "a round badge of a flag",
}
_IDEAS = (
    "Search by name in another language; tell it from {other}.",
    "Ask for it by its keywords and keep {other} as the near miss.",
    "Name it for a learner who may confuse it with {other}.",
    "Match it across drawing styles, apart from {other}.",
    "Classify it within its family, with {other} as the tempting mistake.",
)
_REASONS = {
    "relevance": "The texts name what the {category} drawing shows.",
    "plausibility": "{other} is of the same family and could be taken for {name}.",
    "clarity": "The instruction says what to look for in one or two sentences.",
    "diversity": "The task differs in wording and purpose from a plain caption match.",
}
_IMPROVEMENTS = (
    "Make the instruction name its purpose and vary the wording of the texts.",
    "Say more precisely what counts as a match, and reword the query.",
    "Use a less literal text and a clearer instruction.",
    "Keep the texts, and tighten the instruction.",
)
#: Scores of a criterion are drawn from here: mostly good, now and then a small flaw.
_SCORES = (5, 5, 5, 4, 4, 4, 3)


def compose_reply(request: TeacherRequest, scene: Scene, lexicon: Lexicon) -> dict[str, Any]:
    """The reply to a request, every choice derived from the request's key.

    Raises:
        CannotAnswerError: If the language has too few words for this cell and these concepts.
    """
    rng = Random(f"{request.key}|{scene.subject.concept}|{scene.distractor.concept}")
    interpretations = [
        {"image": role, **_interpret(concept, style, scene, rng)}
        for role, (concept, style) in scene.drawings
    ]
    idea = request.parameters.get("task idea", "")
    draft = write_draft(request, scene, lexicon, request.language, take="draft")
    revision = write_draft(request, scene, lexicon, request.language, take="revision")
    draft["instruction"] = write_instruction(request.cell, "", rng)
    revision["instruction"] = write_instruction(request.cell, idea, rng)
    return {
        "interpretations": interpretations,
        "draft": draft,
        "evaluation": _evaluate(scene, rng),
        "revision": revision,
    }


def write_draft(
    request: TeacherRequest, scene: Scene, lexicon: Lexicon, language: str, take: str
) -> dict[str, str]:
    """Texts of a draft under the reply's names, its instruction still empty.

    Args:
        language: Usually the request's; another one for a mistake.
        take: Names the attempt, so that draft and revision differ.
    """
    texts = _write_texts(request, scene, lexicon, language, take)
    if texts is None:
        raise CannotAnswerError(f"I have too few words for this in language {language!r}")
    names = draft_names(request.cell)
    return {"instruction": ""} | {name: getattr(texts, field) for field, name in names.items()}


def _write_texts(
    request: TeacherRequest, scene: Scene, lexicon: Lexicon, language: str, take: str
) -> Texts | None:
    rng = Random(f"{request.key}|{take}")
    writer = Writer(lexicon, language, Wording.from_parameters(request.parameters), rng)
    return writer.write(request.cell, scene.query, scene.subject, scene.distractor)


def _interpret(concept: Pictogram, style: str, scene: Scene, rng: Random) -> dict[str, str]:
    words = concept.texts["en"]
    other = scene.distractor if concept is not scene.distractor else scene.subject
    keywords = ", ".join(words.keywords[:5]) or words.name
    family = f"{concept.category} / {concept.subcategory}".replace("-", " ")
    return {
        "general": f"The image is {_STYLES[style]}: {words.name}, alone on white.",
        "objects": f"{words.name}; it calls to mind: {keywords}.",
        "context": f"A symbol without a scene, from the family {family}.",
        "task_ideas": rng.choice(_IDEAS).format(other=other.texts["en"].name),
    }


def _evaluate(scene: Scene, rng: Random) -> dict[str, Any]:
    evaluation: dict[str, Any] = {}
    for criterion, reason in _REASONS.items():
        filled = reason.format(
            category=scene.subject.category.replace("-", " "),
            other=scene.distractor.texts["en"].name,
            name=scene.subject.texts["en"].name,
        )
        evaluation[criterion] = {"score": rng.choice(_SCORES), "reason": filled}
    return evaluation | {"improvements": rng.choice(_IMPROVEMENTS)}
