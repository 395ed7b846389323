"""Fields of one's own in a reply: asked for beside the built-in ones, kept in provenance."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

FieldType = Literal["string", "number", "integer", "boolean", "enum"]
MAX_FIELD_CHARS = 4_000
MAX_FIELDS = 20
#: What a field may be called: as every endpoint that follows a schema takes it.
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


def _bounded(text: str) -> str:
    if len(text) > MAX_FIELD_CHARS:
        raise ValueError(f"has {len(text):,} characters, {MAX_FIELD_CHARS:,} is the most")
    return text


def _of_64_bits(number: int) -> int:
    if not -(2**63) <= number < 2**63:
        raise ValueError("is not a 64-bit number")
    return number


# Checked here and not in the schema that is sent, as not every endpoint takes such bounds.
_Text = Annotated[str, AfterValidator(_bounded)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Whole = Annotated[int, AfterValidator(_of_64_bits)]
_KINDS: dict[str, Any] = {"string": _Text, "number": _Number, "integer": _Whole, "boolean": bool}


@dataclass(frozen=True, slots=True)
class ReplyField:
    """A field that a reply has besides the built-in ones.

    Args:
        name: Its key, at the top of the reply.
        description: What the model is to write there.
        type: Kind of its value.
        choices: The values of an "enum".
        is_required: Whether it may not be null.
    """

    name: str
    description: str
    type: FieldType = "string"
    choices: tuple[str, ...] = ()
    is_required: bool = True

    @property
    def kind(self) -> Any:
        """The Python type of its value, as a pydantic model takes it."""
        literal: Any = Literal  # of texts known only while running
        kind: Any = literal[self.choices] if self.type == "enum" else _KINDS[self.type]
        return kind if self.is_required else kind | None

    @property
    def placeholder(self) -> str:
        """What stands for its value where a reply is shown in the prompt, in angle brackets."""
        what = " | ".join(self.choices) if self.type == "enum" else self.type
        null = "" if self.is_required else ", or null"
        return f"<{what}{null}: {' '.join(self.description.split())}>"

    @property
    def is_text(self) -> bool:
        """Whether its value stands in quotes."""
        return self.type in {"string", "enum"}
