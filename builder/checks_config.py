"""The `checks:` block of the configuration: bounds of the row checks, and of what may repeat."""

from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.text_rules.settings import TextRulesConfig

_LATER_CHECKS = {"contradictions", "near_duplicate_similarity", "personal_data", "unsafe_words"}


class ChecksConfig(TextRulesConfig):
    """Bounds of the row checks, and of what may repeat across rows.

    Args:
        max_instruction_repeats: How many samples may share an instruction.
        contradictions: Drop a sample whose positive is another's hard negative for the same
            query, or the reverse.
        near_duplicate_similarity: Drop a sample whose texts are nearly those of an earlier one, in
            any language: so many of their character 5-grams are shared; 0.85 is usual.
        personal_data: Drop samples with an e-mail address, a phone number, or the number of a
            payment card (its check digit is right) in a text.
        unsafe_words: Drop samples with one of these words or phrases in a text.
    """

    max_instruction_repeats: Annotated[int, Field(ge=1)] | None = None
    contradictions: bool = True
    near_duplicate_similarity: Annotated[float, Field(ge=0.5, le=1)] | None = None
    personal_data: tuple[Literal["email", "phone", "card"], ...] = ()
    unsafe_words: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()

    def as_published(self) -> dict[str, Any]:
        """As releases write it: rules of later versions of this program only where they are set.

        So releases made before there were any keep their bytes.
        """
        later = self.model_dump(mode="json", include=_LATER_CHECKS, exclude_defaults=True)
        return self.model_dump(mode="json", exclude=_LATER_CHECKS) | later
