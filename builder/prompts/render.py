"""Renders templates: the static text of a cell once, the parameters of a job each time."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from builder.job import Job
from builder.prompts.image_texts import FENCE, ImageText, fenced_lines
from builder.prompts.skeleton import judge_skeleton, reply_skeleton
from schemas.sample import Draft
from schemas.vocabulary import LANGUAGES, Cell, ImageRole

TEMPLATES_DIR = Path(__file__).parent / "templates"
#: A correction names one error; a model's own long output must not come back to it as one.
MAX_ERROR_CHARS = 500
_LABEL = "image_label.j2"
_IMAGE_TEXTS = "image_texts.j2"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request's text; images follow `user`, each right after its label.

    Args:
        system: Static text, the same for every job of a cell, so that
            endpoints can cache the prefix.
        user: The job's parameters, one a line.
        hash: sha256 (hex) of the prompt without the job's values: changes
            whenever a template, a shared part or the reply schema does, and is another
            where texts of the images are shown.
        image_labels: One a image, in the order attached: positive and hard
            negative are easily taken for one another.
    """

    system: str
    user: str
    hash: str
    image_labels: tuple[str, ...]


def render_prompt(job: Job, image_texts: Mapping[ImageRole, ImageText] | None = None) -> Prompt:
    """The prompt of a job; values of the job are text, never template.

    Args:
        job: The job.
        image_texts: What came with its images, by role; shown as untrusted data.
    """
    cell = job.cell
    system, prompt_hash = _system(cell)
    language = LANGUAGES[job.language]
    user = _template("user.j2").render(
        task_type=cell.task_type,
        modality=cell.modality,
        language_name=language.name,
        language_code=language.code,
        length=one_line(job.length),
        difficulty=one_line(job.difficulty),
        register=one_line(job.text_register),
        task_idea=one_line(job.task_idea),
        seed=job.seed,
        images=_images(cell),
        has_query_text=cell.query_has_text,
        has_text=cell.query_has_text or cell.document_has_text,
    )
    lines = fenced_lines(image_texts or {})
    if lines:
        fenced = _template(_IMAGE_TEXTS).render(begin=FENCE[0], lines=lines, end=FENCE[1])
        user, prompt_hash = f"{user}\n{fenced}", _hash_with_texts(prompt_hash)
    return Prompt(system, user, prompt_hash, _image_labels(cell))


def correction(error: str) -> str:
    """The one corrective request after a reply that could not be read; names the error."""
    return _template("correction.j2").render(error=one_line(error)[:MAX_ERROR_CHARS])


def render_judge(job: Job, revision: Draft) -> Prompt:
    """The prompt for an independent judge: parameters and texts, no scores of the teacher.

    Args:
        job: The sample's job; its images are to be attached in the usual order.
        revision: The texts to judge, as they would be kept.
    """
    system, prompt_hash = _judge_system()
    language = LANGUAGES[job.language]
    texts = revision.model_dump(exclude_none=True)
    user = _template("judge_user.j2").render(
        task_type=job.cell.task_type,
        modality=job.cell.modality,
        language_name=language.name,
        language_code=language.code,
        images=_images(job.cell),
        texts=orjson.dumps(texts).decode(),
    )
    return Prompt(system, user, prompt_hash, _image_labels(job.cell))


def one_line(value: str) -> str:
    """A value on one line, so that it cannot pass for another parameter."""
    return " ".join(value.split())


@cache
def _environment() -> Environment:
    # No HTML here, so nothing to escape: autoescaping would spoil quotes and ampersands.
    return Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


@cache
def _system(cell: Cell) -> tuple[str, str]:
    text = _template(f"{cell.name}.j2").render(cell=cell, skeleton=reply_skeleton(cell))
    system = re.sub(r"\n{3,}", "\n\n", text)
    return system, _hash(system, "user.j2")


@cache
def _judge_system() -> tuple[str, str]:
    system = _template("judge.j2").render(skeleton=judge_skeleton())
    return system, _hash(system, "judge_user.j2")


def _hash(system: str, user_template: str) -> str:
    sources = [
        (TEMPLATES_DIR / name).read_text(encoding="utf-8") for name in (user_template, _LABEL)
    ]
    return hashlib.sha256("\0".join([system, *sources]).encode()).hexdigest()


@cache
def _hash_with_texts(prompt_hash: str) -> str:
    source = (TEMPLATES_DIR / _IMAGE_TEXTS).read_text(encoding="utf-8")
    return hashlib.sha256(f"{prompt_hash}\0{source}".encode()).hexdigest()


@cache
def _image_labels(cell: Cell) -> tuple[str, ...]:
    return tuple(_template(_LABEL).render(role=role) for role in cell.image_roles)


def _images(cell: Cell) -> str:
    return ", ".join(cell.image_roles) or "none"
