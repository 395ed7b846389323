"""A directory of one's own prompts: templates, task ideas and further fields of the reply."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VARIATIONS_NAME = "variations.yaml"
FIELDS_NAME = "fields.yaml"
#: What the judge alone is asked; another judge may be asked at any time.
JUDGE_NAMES = frozenset({"judge.j2", "judge_user.j2", "judge_choice.j2", "judge_choice_user.j2"})
_MAX_FILES = 200
_MAX_FILE_BYTES = 200_000
_NAME = re.compile(r"[A-Za-z0-9_-]+\.j2")


@dataclass(frozen=True)
class PromptFiles:
    """The files of a directory that prompts are made from.

    Args:
        directory: Where they were read.
        texts: By name below it: templates (`*.j2`, `parts/*.j2`), `variations.yaml`,
            `fields.yaml`; none but those that are there.
    """

    directory: Path = field(compare=False)
    texts: Mapping[str, str]

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.texts.items())))

    @property
    def defining(self) -> dict[str, str]:
        """Name and sha256 (hex) of every file that defines the set."""
        return {
            name: hashlib.sha256(text.encode()).hexdigest()
            for name, text in sorted(self.texts.items())
            if name not in JUDGE_NAMES
        }


def read_prompt_files(directory: Path) -> PromptFiles:
    """Reads a directory of prompts; other files in it, such as a README.md, are left alone.

    Raises:
        ValueError: There is no such directory, it has no file of prompts, or one cannot be read.
    """
    if not directory.is_dir():
        raise ValueError(
            f"{directory}: not a directory. Make one with `python -m builder prompts init DIR`"
        )
    paths = [directory / VARIATIONS_NAME, directory / FIELDS_NAME]
    paths = [path for path in paths if path.exists()]
    paths += sorted(_templates_in(directory))
    if not paths:
        raise ValueError(f"{directory}: holds no template (*.j2), variations.yaml or fields.yaml")
    if len(paths) > _MAX_FILES:
        raise ValueError(f"{directory}: more than {_MAX_FILES} templates")
    return PromptFiles(
        directory, {path.relative_to(directory).as_posix(): _text_of(path) for path in paths}
    )


def write_prompt_files(files: PromptFiles, directory: Path) -> None:
    """Writes them into a directory of their own, in place of what prompts it held."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in _templates_in(directory):
        if path.relative_to(directory).as_posix() not in files.texts:
            path.unlink()
    for name in (VARIATIONS_NAME, FIELDS_NAME):
        if name not in files.texts:
            (directory / name).unlink(missing_ok=True)
    for name, text in files.texts.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)


def _templates_in(directory: Path) -> list[Path]:
    """Templates of a directory and those right below it; hidden files are an editor's own."""
    found = (*directory.glob("*.j2"), *directory.glob("*/*.j2"))
    return [path for path in found if not path.name.startswith(".")]


def _text_of(path: Path) -> str:
    """A file's text; lines end alike, whatever system it was written on."""
    if path.suffix == ".j2" and not _NAME.fullmatch(path.name):
        raise ValueError(f"{path}: name templates with letters, digits, - and _ alone")
    try:
        data = path.read_bytes() if path.stat().st_size <= _MAX_FILE_BYTES else None
    except OSError as exc:
        raise ValueError(f"{path}: {exc.strerror}") from exc
    if data is None:
        raise ValueError(f"{path}: larger than {_MAX_FILE_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as exc:
        raise ValueError(f"{path}: not UTF-8 text; save it as UTF-8") from exc
