"""Runs the row checks on an edited row, as on a row that a teacher wrote."""

from dataclasses import dataclass

from schemas.edits import EditError, apply_edits, changed_texts
from schemas.review import Edits
from schemas.sample import Draft, Sample
from schemas.text_rules.gate import check_edit
from schemas.text_rules.settings import TextRulesConfig

#: What each rule finds and what to do, as a continuation of the field's name.
_WORDS = {
    "too_long": "is longer than the dataset allows. Shorten it.",
    "malformed_text": "contains characters that no text needs. Type it again.",
    "empty_text": "has no letters. Write a text, or reject the row.",
    "escaped_text": "contains escape codes instead of characters. Write the characters.",
    "image_placeholder": "contains a placeholder for an image. Delete it.",
    "prompt_echo": "repeats words of the prompt. Write the text itself.",
    "markup": "contains markup of HTML or Markdown. Write plain text.",
    "wrongly_decoded": "was read in the wrong encoding somewhere, as in `cafÃ©`. Type it again.",
    "refusal": "reads as a refusal. Write the text itself.",
    "repetition": "repeats itself. Shorten it.",
    "negative_equals_positive": "says the same as the positive. Write one that looks right and "
    "is wrong.",
    "negative_equals_query": "repeats the query. Write another document.",
    "near_duplicate_negative": "differs from the positive in nothing that matters. Write one that "
    "looks right and is wrong.",
    "lopsided_negative": "is far longer or shorter than the document beside it, so that "
    "length gives the answer away. Make them similar in length.",
    "answer_leak": "gives the answer away: query or instruction contains the positive. "
    "Write it differently.",
    "query_repeats_instruction": "only repeats the instruction. Ask something of its own.",
    "wrong_script": "is not in the script of the row's language. Write it in that script.",
    "wrong_language": "is not in the row's language. Write it in that language.",
    "instruction_not_english": "is not English, as instructions are. Write it in English.",
}
_OTHER = "would be dropped by the release ({reason}). Change it."


@dataclass(frozen=True, slots=True)
class EditReport:
    """What the checks say about an edited row.

    Args:
        reason: Why it is dropped, `edit_answer_leak` and the like; None keeps it.
        is_disputed: An identifier takes a text for another language; the reviewer is believed.
    """

    reason: str | None
    is_disputed: bool


def check_edited(sample: Sample, config: TextRulesConfig) -> EditReport:
    """Checks an edited row once for each of its hard negatives.

    Args:
        sample: The row with its edits.
        config: Bounds and identifiers.
    """
    reports = [
        check_edit(sample.cell, sample.language, _draft(sample, negative), config)
        for negative in sample.negative_texts
    ]
    reason = next((report.reason for report in reports if report.reason), None)
    if reason is not None:
        return EditReport(f"edit_{reason}", False)
    return EditReport(None, any(report.is_disputed for report in reports))


def edit_problem(sample: Sample, edits: Edits, config: TextRulesConfig) -> EditError | None:
    """Why a release would refuse a row with these edits, with the text at fault.

    The text at fault is the changed one without which the release accepts the
    row; if no single text is, the last one changed.

    Args:
        sample: The row as published.
        edits: New texts.
        config: Limits that the release applies.
    """
    try:
        reason = check_edited(apply_edits(sample, edits), config).reason
    except EditError as exc:
        return exc
    changed = [field for field, _ in changed_texts(sample, edits)]
    if reason is None or not changed:
        return None
    at_fault = next(
        (field for field in changed if _passes_without(sample, edits, field, config)), changed[-1]
    )
    code = reason.removeprefix("edit_")
    return EditError(at_fault, _WORDS.get(code, _OTHER.format(reason=code)))


def _passes_without(sample: Sample, edits: Edits, field: str, config: TextRulesConfig) -> bool:
    """Whether the row is accepted with one edited text as it was published."""
    name, _, index = field.partition(".")
    changed = edits.model_dump(exclude_none=True)
    if index:
        negatives = list(changed["negative_texts"])
        negatives[int(index)] = sample.negative_texts[int(index)]
        changed["negative_texts"] = negatives
    else:
        del changed[name]
    try:
        kept = apply_edits(sample, Edits.model_validate(changed))
    except EditError:
        return False
    return check_edited(kept, config).reason is None


def _draft(sample: Sample, negative: str | None) -> Draft:
    return Draft(
        instruction=_with_lf(sample.instruction) or "",
        query_text=_with_lf(sample.query_text),
        positive_text=_with_lf(sample.positive_text),
        negative_text=_with_lf(negative),
    )


def _with_lf(text: str | None) -> str | None:
    """A text whose lines end in LF: a published CR LF is not the fault of an edit beside it."""
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")
