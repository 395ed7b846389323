"""Checks that query and instruction do not contain the answer."""

from schemas.text_rules.candidate import Candidate
from schemas.text_rules.normal_form import contains

#: A retrieval query may share words with its document; a whole document inside it is a leak,
#: unless the document is one short word. In Chinese, Japanese and Korean two characters are a word.
_MIN_RETRIEVAL_LEAK_CHARS = 4
_MIN_RETRIEVAL_LEAK_CHARS_CJK = 2


def answer_leak(candidate: Candidate) -> str | None:
    """The label, the answer or the positive's text occurs in query or instruction.

    A choice ("black or white?") names the hard negative as well and gives
    nothing away. The instruction is English, so that without a translation a
    leak in it can be found in English samples only.
    """
    positive = candidate.positive
    if not positive:
        return None
    code = candidate.language.code
    if candidate.cell.task_type == "retrieval":
        return "answer_leak" if _retrieval_leaks(candidate, positive, code) else None
    places = [candidate.query] if candidate.query else []
    if code == "en":
        places.append(candidate.instruction)
    for place in places:
        if contains(place, positive, code) and not (
            candidate.negative and contains(place, candidate.negative, code)
        ):
            return "answer_leak"
    return None


def query_repeats_instruction(candidate: Candidate) -> str | None:
    """The query only repeats the instruction.

    In other languages than English the language check finds that.
    """
    if candidate.language.code != "en" or candidate.query != candidate.instruction:
        return None
    return "query_repeats_instruction"


def _retrieval_leaks(candidate: Candidate, positive: str, code: str) -> bool:
    query = candidate.query
    if not query:
        return False
    if query == positive:
        return True
    is_cjk = code in ("zh", "ja", "ko")
    least = _MIN_RETRIEVAL_LEAK_CHARS_CJK if is_cjk else _MIN_RETRIEVAL_LEAK_CHARS
    return len(positive) >= least and contains(query, positive, code)
