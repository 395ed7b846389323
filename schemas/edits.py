"""What a reviewer may write into a row: texts that can be seen, read and told apart."""

import re
import unicodedata
from collections.abc import Iterator

from pydantic import ValidationError

from schemas.errors import PolysceneError
from schemas.review import Edits
from schemas.sample import MAX_TEXT_CHARS, Sample

#: Lone surrogates, control characters but tab and line feed, bidi embeddings and isolates (they
#: reorder what a reader sees), interlinear marks, U+FFFD, non-characters, private use, and tag
#: characters outside a flag. Joiners and plain direction marks belong to many writing systems.
_UNWANTED = re.compile(
    "[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffd"
    "\ufdd0-\ufdef\ufffe\uffff\ufeff\ue000-\uf8ff\U000f0000-\U0010ffff]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]"
)
#: Letters by category that are drawn as nothing: Hangul fillers, and the empty Braille cell.
_DRAWN_AS_NOTHING = frozenset("\u115f\u1160\u3164\uffa0\u2800")


class EditError(PolysceneError):
    """An edit cannot be taken.

    Args:
        field: The text at fault, such as `query_text` or `negative_texts.0`.
        what: What is wrong and what to do, going on from the field's name.
    """

    def __init__(self, field: str, what: str) -> None:
        self.field = field
        self.what = what
        super().__init__(f"`{field}` {what}")


def text_problem(text: str) -> str | None:
    """What is wrong with a text that a reviewer wrote and what to do, or None."""
    if all(_is_unseen(character) for character in text):
        return "is blank. Write a text, or reject the row."
    if len(text) > MAX_TEXT_CHARS:
        return f"has {len(text):,} characters, {MAX_TEXT_CHARS:,} at most. Shorten it."
    found = _UNWANTED.search(text)
    if found:
        name = unicodedata.name(found[0], "").lower()
        code = f"U+{ord(found[0]):04X}{' ' if name else ''}{name}"
        return f"holds a character that no text needs ({code}). Delete it, or type the text anew."
    return None


def apply_edits(sample: Sample, edits: Edits) -> Sample:
    """The sample with the edits in place.

    What a row held before is left alone: only new texts are looked at, since
    stored events and published rows may be older than these rules.

    Raises:
        EditError: A new text cannot be taken, or what comes out is no sample
            of its cell.
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
        raise EditError(field, f"cannot be edited so: {problem}. Mend it.") from exc


def changed_texts(sample: Sample, edits: Edits) -> Iterator[tuple[str, str]]:
    """Field and new text of everything the edits make different."""
    for field in ("instruction", "query_text", "positive_text"):
        text: str | None = getattr(edits, field)
        if text is not None and text != getattr(sample, field):
            yield field, text
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


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character)[0] in "ZC" or character in _DRAWN_AS_NOTHING
