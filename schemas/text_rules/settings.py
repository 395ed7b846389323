"""Limits of the text rules, as set in a build's configuration."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TextRulesConfig(BaseModel):
    """Limits of the row checks; `language_identifiers` vote in the given order."""

    model_config = ConfigDict(extra="forbid")

    max_query_chars: Annotated[int, Field(gt=0)] = 2_000
    max_document_chars: Annotated[int, Field(gt=0)] = 4_000
    min_words_to_identify: Annotated[int, Field(ge=1)] = 3
    language_identifiers: list[Literal["pycld2", "py3langid", "langdetect"]] = [
        "pycld2",
        "py3langid",
    ]
    min_scores: dict[Literal["relevance", "plausibility", "clarity", "diversity"], int] = {}
