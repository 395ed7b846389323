"""Published texts as items have them: image tokens out, the instruction apart."""

import re
from collections.abc import Sequence
from itertools import takewhile

#: Where VLM2Vec's texts have the image; our encoders place it themselves.
_IMAGE_TOKEN = re.compile(r"\s*<\|image_\d+\|>\s*")
#: An instruction ends with one of these, or with the line.
_END = re.compile(r"[:.?!](?=\s|$)|\n")


def without_image_token(text: str | None) -> str:
    """A published text without `<|image_1|>` and without space around it."""
    return _IMAGE_TOKEN.sub(" ", text or "").strip()


def joined(*parts: str) -> str | None:
    """The parts that say something, one after another; None where none does."""
    return " ".join(part for part in parts if part) or None


def common_instruction(texts: Sequence[str]) -> str:
    """What all texts of a subset begin with, up to the end of a sentence or clause.

    MMEB's first edition writes instruction and text as one, the same
    instruction in every row: "Represent the given image with the following
    question: What is this?". Texts that are all equal are all instruction.

    Returns:
        The prefix with its end, or "" where they share none.
    """
    first, last = min(texts, default=""), max(texts, default="")
    if first == last:
        return first
    shared = "".join(
        one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    )
    ends = [match.end() for match in _END.finditer(shared)]
    return shared[: ends[-1]] if ends else ""


def after_instruction(text: str, instruction: str) -> str:
    """The rest of a text that begins with the instruction."""
    return text[len(instruction) :].strip()
