"""Why a reviewer rejects: a closed list of reason codes, each about one facet."""

from dataclasses import dataclass
from typing import Literal

from schemas.review import Facet

ReasonCode = Literal[
    "wrong_language",
    "unnatural_text",
    "query_mismatch",
    "positive_wrong",
    "negative_correct",
    "negative_trivial",
    "answer_leak",
    "unsafe_content",
    "broken_image",
    "other",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its code in review events, its label on a page, the facet it is about."""

    code: ReasonCode
    label: str
    facet: Facet


#: In the order of their number keys.
REASONS: tuple[Reason, ...] = (
    Reason("wrong_language", "Not in the language asked for", "language"),
    Reason("unnatural_text", "Unnatural or garbled text", "language"),
    Reason("query_mismatch", "Query does not fit its image or instruction", "fidelity"),
    Reason("positive_wrong", "Positive does not answer the query", "alignment"),
    Reason("negative_correct", "Hard negative answers it as well", "negative"),
    Reason("negative_trivial", "Hard negative is too easy", "negative"),
    Reason("answer_leak", "Query or instruction gives the answer away", "alignment"),
    Reason("unsafe_content", "Unsafe, private or offensive", "safety"),
    Reason("broken_image", "Image broken or unreadable", "fidelity"),
    Reason("other", "Something else (say what in the note)", "fidelity"),
)
REASON_BY_CODE: dict[str, Reason] = {reason.code: reason for reason in REASONS}
