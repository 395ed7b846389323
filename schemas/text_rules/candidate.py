"""The input of a row check: the texts of one sample, and their normal forms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from schemas.sample import Draft, Evaluation
from schemas.text_rules.normal_form import normalise
from schemas.text_rules.settings import TextRulesConfig
from schemas.vocabulary import Cell, Language

T = TypeVar("T")


class _Cached(Generic[T]):
    """`functools.cached_property` without the lock it has before Python 3.12.

    That lock takes longer than most of the texts here take to be made.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "_Cached[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "T | _Cached[T]":
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._make(instance)
        return value


@dataclass(frozen=True)
class Candidate:
    """A revised or edited sample that is checked before it is kept.

    Args:
        cell: Task type and modality combination of its job.
        language: Language its texts are declared to be in.
        draft: The texts that would be kept.
        evaluation: The teacher's own judgement; None for texts that it did not write.
        config: Bounds of the checks.
    """

    cell: Cell
    language: Language
    draft: Draft
    evaluation: Evaluation | None
    config: TextRulesConfig

    @_Cached
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Field and value of the texts in the job's language; without absent ones."""
        draft = self.draft
        fields = (
            ("query_text", draft.query_text),
            ("positive_text", draft.positive_text),
            ("negative_text", draft.negative_text),
        )
        return tuple((name, text) for name, text in fields if text is not None)

    @_Cached
    def all_texts(self) -> tuple[str, ...]:
        """The instruction and every other text."""
        return (self.draft.instruction, *(text for _, text in self.texts))

    @_Cached
    def lowered(self) -> str:
        """All texts in lower case, one per line: for phrases that must not occur anywhere."""
        return "\n".join(self.all_texts).lower()

    @_Cached
    def instruction(self) -> str:
        return normalise(self.draft.instruction)

    @_Cached
    def query(self) -> str | None:
        return normalise(self.draft.query_text)

    @_Cached
    def positive(self) -> str | None:
        return normalise(self.draft.positive_text)

    @_Cached
    def negative(self) -> str | None:
        return normalise(self.draft.negative_text)
