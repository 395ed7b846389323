"""Begins a directory of one's own prompts: a copy of the built-in ones, and what may be changed."""

from pathlib import Path

from builder.prompt_files import FIELDS_NAME, VARIATIONS_NAME
from builder.prompts.own_fields import PromptError
from builder.prompts.render import TEMPLATES_DIR

README_NAME = "README.md"
_README = """\
# Prompts of one's own

Name this directory in the build's configuration, relative to its file:

    prompts: {name}

Check it with `python -m builder prompts check {name}`; look at a prompt with
`python -m builder prompts show vqa_it2t --dir {name}`. `plan` and `build` check it too, before
anything is sent. A file that is deleted here is the built-in one again. The files define the set:
they may not change in a workspace once a build was begun there (those of the judge may).

| file | what it is | what it may use |
|---|---|---|
| `classification_*.j2`, `vqa_*.j2`, `retrieval_*.j2` | system message of a cell (task type and \
modality combination), the same for all its jobs | `cell` (`.name`, `.task_type`, `.modality`, \
`.image_roles`, `.query_has_text`, `.query_has_image`, `.document_has_text`, \
`.document_has_image`), `skeleton` (the form of the reply) |
| `parts/*.j2` | included by the ten above; add parts of your own | the same |
| `user.j2` | parameters of a job, before its images | `task_type`, `modality`, `language_name`, \
`language_code`, `length`, `difficulty`, `register`, `task_idea`, `seed`, `images`, \
`has_query_text`, `has_text` |
| `image_label.j2` | line before each image | `role` |
| `image_texts.j2` | captions, where `teacher.use_captions` is set | `begin`, `lines`, `end` |
| `correction.j2` | second request, after a reply that could not be read | `error` |
| `judge.j2`, `judge_user.j2` | what the judge is asked | `skeleton`; and `task_type`, `modality`, \
`language_name`, `language_code`, `images`, `texts` |
| `judge_choice.j2`, `judge_choice_user.j2` | what it is asked where it chooses \
(`gates.judge_choice`) | nothing; and `task_type`, `modality`, `language_name`, \
`language_code`, `images`, `query`, `candidates` |
| `variations.yaml` | lengths, difficulties, registers and task ideas; a list that is left out is \
the built-in one | - |
| `fields.yaml` | further fields of the reply; they end up in the column `extra` of the \
provenance, as JSON | - |

Templates are Jinja without `set`, `with`, macros, imports and calls; a loop holds no loop, include
or block. Filters: capitalize, default, first, join, last, length, lower, reverse, sort, string,
title, trim, upper.
"""
_FIELDS = """\
# Fields of your own in every reply. Remove the # and change the lines, or leave them as they are.
#
# topic:
#   description: the broad topic of the images, in English
#   type: enum            # string, number, integer, boolean or enum
#   choices: [animals, food, places, objects, people]
# caption:
#   description: a caption of the query image in the job's language
#   type: string
#   required: false       # may be null
"""


def start_prompts(directory: Path, variations: str) -> list[str]:
    """Copies the built-in prompts into a directory; returns the names of its files.

    Args:
        directory: Must be missing or empty.
        variations: Text of `variations.yaml`.

    Raises:
        PromptError: The directory has files already, or cannot be written.
    """
    texts = {
        path.relative_to(TEMPLATES_DIR).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(TEMPLATES_DIR.rglob("*.j2"))
    }
    texts |= {VARIATIONS_NAME: variations, FIELDS_NAME: _FIELDS}
    texts[README_NAME] = _README.format(name=directory.name or "prompts")
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise PromptError(
                f"{directory}: has files already, which are left as they are. Name a new directory."
            )
        for name, text in texts.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as exc:
        raise PromptError(f"{directory}: cannot be written: {exc.strerror}.") from exc
    return list(texts)
