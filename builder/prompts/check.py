"""Renders one's own prompts over all ten cells, before the first request: a golden render."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError

from builder.config import BuildConfig
from builder.prompts.image_texts import ImageText
from builder.prompts.own_fields import PromptError
from builder.prompts.render import Prompt, Templates, templates_of
from builder.prompts.skeleton import reply_skeleton
from builder.prompts.specimen import JUDGED_DRAFT, choice_specimen, specimen_job
from schemas.vocabulary import CELLS, Cell

_MAX_NAMED = 8
_IMAGE_TEXT = ImageText("a caption", "an alternative text")


@dataclass(frozen=True, slots=True)
class PromptProblem:
    """What is wrong with a template, and what to do.

    Args:
        file: The template's.
        line: Where in it; None where it is about the whole.
        cells: The cells it concerns.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
    """

    file: str
    line: int | None
    cells: tuple[str, ...]
    what: str
    remedy: str

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        of = "all cells" if len(self.cells) == len(CELLS) else ", ".join(self.cells)
        return f"{self.file}{line} ({of}): {self.what}. {self.remedy}"


def require_prompts_render(config: BuildConfig) -> None:
    """Checks the prompts of a configuration, if it has some of its own.

    Raises:
        PromptError: A prompt cannot be rendered or lacks something; names file, line and cell.
    """
    if config.prompts is None:
        return
    problems = check_templates(templates_of(config))
    if problems:
        more = len(problems) - _MAX_NAMED
        said = " ".join(map(str, problems[:_MAX_NAMED]))
        and_more = f" And {more} more." if more > 0 else ""
        raise PromptError(f"prompts: {said}{and_more} Nothing was sent.")


def check_templates(templates: Templates) -> list[PromptProblem]:
    """Renders every prompt of every cell; what is wrong is named once, with all its cells."""
    found: dict[PromptProblem, list[str]] = {}
    for cell in CELLS:
        for problem in _problems_of(templates, cell):
            found.setdefault(replace(problem, cells=()), []).append(cell.name)
    for problem in _problems_of_others(templates):
        found.setdefault(problem, list(problem.cells))
    found |= {problem: list(problem.cells) for problem in _unused(templates)}
    return [replace(problem, cells=tuple(cells)) for problem, cells in found.items()]


def _problems_of(templates: Templates, cell: Cell) -> Iterator[PromptProblem]:
    texts = dict.fromkeys(cell.image_roles, _IMAGE_TEXT)
    jobs = [specimen_job(cell, language) for language in ("en", "ar")]
    prompts: list[Prompt] = []
    for job in jobs:
        try:
            prompts.append(templates.prompt(job))
            templates.prompt(job, texts)
        except PromptError as exc:
            yield _failed(templates, exc)
            return
    prompt, other = prompts
    system_file, user_file = f"{cell.name}.j2", "user.j2"

    def lacks(name: str, what: str, remedy: str) -> PromptProblem:
        # Where the template is a built-in one, a file that it includes is to blame.
        file = templates.file_of(name) if templates.is_own(name) else str(templates.directory)
        return PromptProblem(file, None, (), what, remedy)

    if not prompt.system.strip():
        yield lacks(system_file, "renders nothing", "Write the instructions of the cell.")
    elif reply_skeleton(cell, templates.own_fields) not in prompt.system:
        output = "parts/output.j2"
        shows = "skeleton" in templates.text(output)
        yield lacks(
            system_file if shows or not templates.is_own(output) else output,
            "does not show the form of the reply",
            "Write {{ skeleton }} where it belongs, or include parts/output.j2.",
        )
    if not prompt.user.strip():
        yield lacks(user_file, "renders nothing", "Write the parameters of a job.")
    elif (cell.query_has_text or cell.document_has_text) and prompt.user == other.user:
        yield lacks(
            user_file,
            "says the same for every language",
            "Write {{ language_name }} ({{ language_code }}).",
        )
    # The form of the reply names the images too, and mentions none of them.
    system = prompt.system.replace(reply_skeleton(cell, templates.own_fields), "")
    yield from _about_images(cell, replace(prompt, system=system), lacks)


def _about_images(
    cell: Cell, prompt: Prompt, lacks: Callable[[str, str, str], PromptProblem]
) -> Iterator[PromptProblem]:
    """What is missing where a cell has images: their mention, and labels that tell them apart."""
    if not cell.image_roles:
        return
    marks = ("image", "picture", "photo", ", ".join(cell.image_roles))
    said = f"{prompt.system}\n{prompt.user}".lower()
    if prompt.system.strip() and not any(mark in said for mark in marks):
        yield lacks(
            "user.j2",
            "does not mention the images that are attached",
            "Write {{ images }}, or say in the cell's template what the images are.",
        )
    labels = prompt.image_labels
    if not all(label.strip() for label in labels) or len(set(labels)) < len(labels):
        yield lacks(
            "image_label.j2",
            "does not tell the images apart",
            "Write {{ role }} in it.",
        )


def _problems_of_others(templates: Templates) -> Iterator[PromptProblem]:
    """The words of the correction and the judge's prompts, which no cell decides."""
    judged = specimen_job(CELLS[-1], "en")
    for names, render in (
        (("correction.j2",), lambda: templates.correction("`draft`: is missing")),
        (("judge.j2", "judge_user.j2"), lambda: templates.judge(judged, JUDGED_DRAFT).user),
        (
            ("judge_choice.j2", "judge_choice_user.j2"),
            lambda: choice_specimen("en", templates).user,
        ),
    ):
        try:
            is_empty = not render().strip()
        except PromptError as exc:
            yield replace(_failed(templates, exc), cells=(names[0].removesuffix(".j2"),))
            continue
        if is_empty:
            cells = (names[0].removesuffix(".j2"),)
            yield PromptProblem(
                templates.file_of(names[-1]), None, cells, "renders nothing", "Write it."
            )


def _unused(templates: Templates) -> Iterator[PromptProblem]:
    """Templates of one's own that nothing renders, as where a name is misspelled."""
    for name in templates.unused():
        remedy = "Name it as a built-in template is named, include it in one, or delete it."
        yield PromptProblem(templates.file_of(name), None, ("any",), "is used by no cell", remedy)


def _failed(templates: Templates, exc: PromptError) -> PromptProblem:
    cause = exc.__cause__
    file, line = _place_of(templates, cause)
    if isinstance(cause, TemplateNotFound):
        remedy = "Include a file of this directory or a built-in one."
    elif isinstance(cause, TemplateSyntaxError):
        remedy = "Fix it."
    else:
        remedy = "README.md lists what a template may use."
    return PromptProblem(file, line, (), _clause(cause), remedy)


def _clause(cause: BaseException | None) -> str:
    if isinstance(cause, RecursionError):
        return "templates include one another without end"
    if isinstance(cause, TemplateNotFound):
        return f'there is no template "{cause.name}"'
    said = cause.message if isinstance(cause, TemplateError) else None
    return re.sub(r"\s+", " ", said or str(cause)).rstrip(".")


def _place_of(templates: Templates, cause: BaseException | None) -> tuple[str, int | None]:
    """The innermost template line an error came from."""
    if isinstance(cause, TemplateSyntaxError) and cause.filename:
        return cause.filename, cause.lineno
    files = set(_files_of(templates))
    place: tuple[str, int | None] = str(templates.directory or Path()), None
    step = cause.__traceback__ if cause else None
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name in files:
            place = name, step.tb_lineno
        step = step.tb_next
    return place


def _files_of(templates: Templates) -> Iterable[str]:
    return (templates.file_of(name) for name in templates.names())
