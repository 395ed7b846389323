"""What a reviewer may write into a row: visible, readable texts that differ from one another."""

import unicodedata
from collections.abc import Iterator

from pydantic import ValidationError

from schemas.characters import unwanted_character
from schemas.errors import PolysceneError
from schemas.review import EDITABLE_FIELDS, Edits
from schemas.sample import MAX_TEXT_CHARS, Sample

#: Letters by category that are invisible: Hangul fillers, and the empty Braille cell.
_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


class EditError(PolysceneError):
    """An edit is refused.

    Args:
        field: The text at fault, such as `query_text` or `negative_texts.0`.
        what: What is wrong and what to do, as a continuation of the field's name.
    """

    def __init__(self, field: str, what: str) -> None:
        self.field = field
        self.what = what
        super().__init__(f"`{field}` {what}")


def text_problem(text: str) -> str | None:
    """What is wrong with a text that a reviewer wrote and what to do, or None."""
    if all(_is_invisible(character) for character in text):
        return "is blank. Write a text, or reject the row."
    if len(text) > MAX_TEXT_CHARS:
        return f"has {len(text):,} characters; the limit is {MAX_TEXT_CHARS:,}. Shorten it."
    unwanted = unwanted_character(text)
    if unwanted is not None:
        name = unicodedata.name(unwanted, "").lower()
        code = f"U+{ord(unwanted):04X}{' ' if name else ''}{name}"
        return (
            f"contains a character that no text needs ({code}). Delete it, or type the text again."
        )
    return None


def apply_edits(sample: Sample, edits: Edits) -> Sample:
    """The sample with the edits applied.

    Only new texts are checked, since stored events and published rows may be
    older than these rules.

    Raises:
        EditError: A new text is refused, or the edited row does not fit its cell.
    """
    changed = edits.model_dump(exclude_none=True)
    for field, text in changed_texts(sample, edits):
        problem = text_problem(text)
        if problem:
            raise EditError(field, problem)
    row = {**sample.model_dump(), **changed}
    if {"positive_text", "negative_texts"} & set(changed):
        _refuse_equal_negatives(row["positive_text"], row["negative_texts"])
    try:
        return Sample.model_validate(row)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        field = next(iter(changed))
        raise EditError(field, f"cannot be edited like this: {problem}. Fix it.") from exc


def changed_texts(sample: Sample, edits: Edits) -> Iterator[tuple[str, str]]:
    """Field and new text of every text that the edits change."""
    for field in EDITABLE_FIELDS:
        value: object = getattr(edits, field)
        if isinstance(value, str) and value != getattr(sample, field):
            yield field, value
    for index, text in enumerate(edits.negative_texts or ()):
        if text is not None and text not in sample.negative_texts[index : index + 1]:
            yield f"negative_texts.{index}", text


def _refuse_equal_negatives(positive: str | None, negatives: tuple[str | None, ...]) -> None:
    for index, text in enumerate(negatives):
        if text is not None and positive is not None and _letters(text) == _letters(positive):
            raise EditError(
                f"negative_texts.{index}",
                "says the same as the positive. Write one that looks right and is wrong, "
                "or reject the row.",
            )


def _letters(text: str) -> str:
    """A text without case, width, punctuation, spaces and format characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    shown = "".join(" " if unicodedata.category(sign)[0] in "PZC" else sign for sign in folded)
    return " ".join(shown.split()) or folded


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character)[0] in "ZC" or character in _INVISIBLE_LETTERS
