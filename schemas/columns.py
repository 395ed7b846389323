"""Notes on a model's fields that say how they are published, where their Python type does not.

A note goes into `Annotated`, beside what pydantic reads there; `schemas.features` makes the Arrow
schemas from the models and these notes.

    Score = Annotated[int, Field(ge=1, le=5), Stored("int8")]
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Stored:
    """The column's type: a narrower integer than int64, or the image that the field names."""

    kind: Literal["int8", "int32", "image"]


@dataclass(frozen=True, slots=True)
class StoredAsPairs:
    """A mapping or model that is published as a list of two texts each.

    Args:
        key: Name of the first text.
        value: Name of the second.
    """

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Before:
    """The column comes before another one; without a note columns are in the order of the fields.

    The first releases had this order, and it is part of a shard's bytes.
    """

    column: str


@dataclass(frozen=True, slots=True)
class WhereUsed:
    """The column is there only in releases with a value in it, so that others keep their bytes."""


@dataclass(frozen=True, slots=True)
class NotContent:
    """The field is not part of a sample's content, which its id and content hash cover."""
