"""The prompt in which a judge chooses among a sample's positive and its hard negatives."""

import hashlib
from collections.abc import Sequence

import orjson

from builder.prompts.render import Prompt, Templates
from schemas.sample import Sample
from schemas.vocabulary import LANGUAGES

_SYSTEM = "judge_choice.j2"
_USER = "judge_choice_user.j2"
_LABEL = "image_label.j2"


def render_choice(templates: Templates, sample: Sample, order: Sequence[int]) -> Prompt:
    """The prompt, whose images are the query's, then each candidate's, as far as there are any.

    Args:
        templates: Of the build.
        sample: Its positive is candidate 0, its hard negatives follow.
        order: Candidates in the order in which they are shown, numbered from 1.
    """
    texts = (sample.positive_text, *sample.negative_texts)
    candidates = [
        {"number": number, "text": texts[candidate]}
        if texts[candidate] is not None
        else {"number": number}
        for number, candidate in enumerate(order, 1)
    ]
    query = {"instruction": sample.instruction, "query_text": sample.query_text}
    language, cell = LANGUAGES[sample.language], sample.cell
    roles = ["query"] if cell.query_has_image else []
    if cell.document_has_image:
        roles += [f"candidate_{number}" for number in range(1, len(order) + 1)]
    user = templates.render(
        _USER,
        {
            "task_type": cell.task_type,
            "modality": cell.modality,
            "language_name": language.name,
            "language_code": language.code,
            "images": ", ".join(roles) or "none",
            "query": _json({name: text for name, text in query.items() if text is not None}),
            "candidates": _json(candidates),
        },
    )
    system = templates.render(_SYSTEM, {})
    labels = tuple(templates.render(_LABEL, {"role": role}) for role in roles)
    return Prompt(system, user, _hash(templates, system), labels)


def choice_images(sample: Sample, order: Sequence[int]) -> tuple[str, ...]:
    """The images of the prompt, in the order of its labels."""
    images = (sample.positive_image, *sample.negative_images)
    shown = (sample.query_image, *(images[candidate] for candidate in order))
    return tuple(sha256 for sha256 in shown if sha256 is not None)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _hash(templates: Templates, system: str) -> str:
    sources = [found[1] for name in (_USER, _LABEL) if (found := templates.source(name))]
    return hashlib.sha256("\0".join([system, *sources]).encode()).hexdigest()
