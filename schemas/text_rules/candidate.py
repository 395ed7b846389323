"""The input of a row check: the texts of one sample, and their normal forms."""

from dataclasses import dataclass
from functools import cached_property

from schemas.sample import Draft, Evaluation
from schemas.text_rules.normal_form import normalise
from schemas.text_rules.settings import TextRulesConfig
from schemas.vocabulary import Cell, Language


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

    @cached_property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Field and value of the texts in the job's language; without absent ones."""
        draft = self.draft
        fields = (
            ("query_text", draft.query_text),
            ("positive_text", draft.positive_text),
            ("negative_text", draft.negative_text),
        )
        return tuple((name, text) for name, text in fields if text is not None)

    @cached_property
    def all_texts(self) -> tuple[str, ...]:
        """The instruction and every other text."""
        return (self.draft.instruction, *(text for _, text in self.texts))

    @cached_property
    def lowered(self) -> str:
        """All texts in lower case, one per line: for phrases that must not occur anywhere."""
        return "\n".join(self.all_texts).lower()

    @cached_property
    def instruction(self) -> str:
        return normalise(self.draft.instruction)

    @cached_property
    def query(self) -> str | None:
        return normalise(self.draft.query_text)

    @cached_property
    def positive(self) -> str | None:
        return normalise(self.draft.positive_text)

    @cached_property
    def negative(self) -> str | None:
        return normalise(self.draft.negative_text)
