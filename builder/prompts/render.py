"""Renders templates: the static text of a cell once, the parameters of a job each time."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import TemplateError

from builder.config import BuildConfig
from builder.job import Job
from builder.prompt_files import FIELDS_NAME, PromptFiles
from builder.prompts.image_texts import FENCE, ImageText, fenced_lines
from builder.prompts.own_fields import PromptError, parse_fields
from builder.prompts.sandbox import PromptEnvironment
from builder.prompts.skeleton import judge_skeleton, reply_skeleton
from schemas.sample import Draft
from schemas.vocabulary import LANGUAGES, Cell, ImageRole

TEMPLATES_DIR = Path(__file__).parent / "templates"
#: A correction names one error; a model's own long output must not come back to it as one.
MAX_ERROR_CHARS = 500
_USER = "user.j2"
_JUDGE_USER = "judge_user.j2"
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


class Templates:
    """The templates of a build: one's own, and the built-in ones where there is none.

    Args:
        files: A directory of one's own; None for none.
        builtin: Where the built-in ones are.

    Raises:
        PromptError: The directory's `fields.yaml` is not valid.
    """

    def __init__(self, files: PromptFiles | None = None, builtin: Path = TEMPLATES_DIR) -> None:
        self._files = files
        self._builtin = builtin
        self._rendered: set[str] = set()
        self._environment = PromptEnvironment(self._load)
        self._system = cache(self._make_system)
        self._judge_system = cache(self._make_judge_system)
        self._hash_with_texts = cache(self._make_hash_with_texts)
        self.image_labels = cache(self._make_image_labels)
        fields = files.texts.get(FIELDS_NAME) if files else None
        where = str(files.directory / FIELDS_NAME) if files else ""
        #: What a reply has besides the built-in fields.
        self.own_fields = parse_fields(fields, where) if fields is not None else ()

    def source(self, name: str) -> tuple[str, str] | None:
        """File and text of a template, one's own before the built-in one; None for neither."""
        if self._files is not None and name in self._files.texts:
            return str(self._files.directory / name), self._files.texts[name]
        path = self._builtin / name
        if name not in _builtin_names(self._builtin):
            return None
        return str(path), path.read_text(encoding="utf-8")

    def _load(self, name: str) -> tuple[str, str] | None:
        self._rendered.add(name)
        return self.source(name)

    @property
    def directory(self) -> Path | None:
        """Of one's own files."""
        return self._files.directory if self._files else None

    def names(self) -> list[str]:
        """Every template there is."""
        own = [name for name in self._files.texts if name.endswith(".j2")] if self._files else []
        return sorted({*own, *_builtin_names(self._builtin)})

    def is_own(self, name: str) -> bool:
        """Whether a template is one's own, and not the built-in one."""
        return self._files is not None and name in self._files.texts

    def file_of(self, name: str) -> str:
        """The file of a template, to be named where something is wrong with it."""
        found = self.source(name)
        return found[0] if found else name

    def unused(self) -> list[str]:
        """Templates of one's own that were not rendered so far, and have no built-in namesake."""
        return [
            name
            for name in self.names()
            if name not in self._rendered and name not in _builtin_names(self._builtin)
        ]

    def prompt(self, job: Job, image_texts: Mapping[ImageRole, ImageText] | None = None) -> Prompt:
        """The prompt of a job; values of the job are text, never template.

        Args:
            job: The job.
            image_texts: What came with its images, by role; shown as untrusted data.
        """
        cell = job.cell
        system, prompt_hash = self._system(cell)
        language = LANGUAGES[job.language]
        user = self.render(
            _USER,
            {
                "task_type": cell.task_type,
                "modality": cell.modality,
                "language_name": language.name,
                "language_code": language.code,
                "length": one_line(job.length),
                "difficulty": one_line(job.difficulty),
                "register": one_line(job.text_register),
                "task_idea": one_line(job.task_idea),
                "seed": job.seed,
                "images": _images(cell),
                "has_query_text": cell.query_has_text,
                "has_text": cell.query_has_text or cell.document_has_text,
            },
        )
        lines = fenced_lines(image_texts or {})
        if lines:
            values = {"begin": FENCE[0], "lines": lines, "end": FENCE[1]}
            fenced = self.render(_IMAGE_TEXTS, values)
            user, prompt_hash = f"{user}\n{fenced}", self._hash_with_texts(prompt_hash)
        return Prompt(system, user, prompt_hash, self.image_labels(cell))

    def correction(self, error: str) -> str:
        """The one corrective request after a reply that could not be read; names the error."""
        return self.render("correction.j2", {"error": one_line(error)[:MAX_ERROR_CHARS]})

    def judge(self, job: Job, revision: Draft) -> Prompt:
        """The prompt for an independent judge: parameters and texts, no scores of the teacher.

        Args:
            job: The sample's job; its images are to be attached in the usual order.
            revision: The texts to judge, as they would be kept.
        """
        system, prompt_hash = self._judge_system()
        language = LANGUAGES[job.language]
        texts = revision.model_dump(exclude_none=True)
        user = self.render(
            _JUDGE_USER,
            {
                "task_type": job.cell.task_type,
                "modality": job.cell.modality,
                "language_name": language.name,
                "language_code": language.code,
                "images": _images(job.cell),
                "texts": orjson.dumps(texts).decode(),
            },
        )
        return Prompt(system, user, prompt_hash, self.image_labels(job.cell))

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Renders one template.

        Raises:
            PromptError: One's own cannot be rendered, though all were checked before.
        """
        try:
            return self._environment.render(name, values)
        except (TemplateError, TypeError, ValueError, RecursionError) as exc:
            if self._files is None:
                raise
            where = self._files.directory / name
            raise PromptError(
                f"{where}: {exc}. Look at it with `python -m builder prompts check "
                f"{self._files.directory}`."
            ) from exc

    def _make_system(self, cell: Cell) -> tuple[str, str]:
        skeleton = reply_skeleton(cell, self.own_fields)
        text = self.render(f"{cell.name}.j2", {"cell": cell, "skeleton": skeleton})
        system = re.sub(r"\n{3,}", "\n\n", text)
        return system, self._hash(system, _USER)

    def _make_judge_system(self) -> tuple[str, str]:
        system = self.render("judge.j2", {"skeleton": judge_skeleton()})
        return system, self._hash(system, _JUDGE_USER)

    def _hash(self, system: str, user_template: str) -> str:
        parts = [system, self.text(user_template), self.text(_LABEL)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _make_hash_with_texts(self, prompt_hash: str) -> str:
        return hashlib.sha256(f"{prompt_hash}\0{self.text(_IMAGE_TEXTS)}".encode()).hexdigest()

    def _make_image_labels(self, cell: Cell) -> tuple[str, ...]:
        return tuple(self.render(_LABEL, {"role": role}) for role in cell.image_roles)

    def text(self, name: str) -> str:
        """The text of a template that there is."""
        found = self.source(name)
        assert found is not None
        return found[1]


def templates_of(config: BuildConfig) -> Templates:
    """The templates of a build.

    Raises:
        PromptError: Its `fields.yaml` is not valid.
    """
    return _templates(config.prompts)


@lru_cache(8)
def _templates(files: PromptFiles | None) -> Templates:
    return Templates(files)


def render_prompt(job: Job, image_texts: Mapping[ImageRole, ImageText] | None = None) -> Prompt:
    """The prompt of a job from the built-in templates."""
    return _templates(None).prompt(job, image_texts)


def correction(error: str) -> str:
    """The built-in words of the corrective request."""
    return _templates(None).correction(error)


def render_judge(job: Job, revision: Draft) -> Prompt:
    """The built-in prompt for an independent judge."""
    return _templates(None).judge(job, revision)


def one_line(value: str) -> str:
    """A value on one line, so that it cannot pass for another parameter."""
    return " ".join(value.split())


@cache
def _builtin_names(directory: Path) -> frozenset[str]:
    return frozenset(path.relative_to(directory).as_posix() for path in directory.rglob("*.j2"))


def _images(cell: Cell) -> str:
    return ", ".join(cell.image_roles) or "none"
