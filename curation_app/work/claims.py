"""Claims: the teacher's interpretation of the images, sentence by sentence, to be checked.

A text that follows from a false interpretation is unfaithful however well it reads; single claims
are quicker and more surely judged than a paragraph (as FActScore does for texts, arXiv 2305.14251).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from curation_app.work.choices import Outcome

#: Aspects that state what is in an image; ideas for tasks claim nothing.
_ASPECTS = ("general", "objects", "context")
_MAX_CLAIMS = 24
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of the teacher's about one image."""

    image: str
    aspect: str
    text: str


def claims_of(record: Mapping[str, Any] | None) -> list[Claim]:
    """Claims of a provenance record in reading order, each once; none where there is no record.

    Args:
        record: As `curation_app.data.provenance.Provenance.of` returns it.
    """
    claims: dict[tuple[str, str], Claim] = {}
    for seen in (record or {}).get("interpretations") or ():
        for aspect in _ASPECTS:
            for sentence in _SENTENCE_END.split(seen.get(aspect) or ""):
                text = sentence.strip()
                if any(sign.isalnum() for sign in text):
                    key = (seen["image"], text)
                    claims.setdefault(key, Claim(seen["image"], aspect, text))
    return list(claims.values())[:_MAX_CLAIMS]


def outcome_of(answers: Sequence[bool]) -> Outcome:
    """The verdict that ticked claims amount to: faithful where the images support every one.

    Args:
        answers: Whether the image supports a claim, in the order of `claims_of`.
    """
    note = orjson.dumps({"claims": [int(answer) for answer in answers]}).decode()
    if all(answers):
        return Outcome("accept", (), {"fidelity": "accept"}, note)
    return Outcome("reject", ("query_mismatch",), {"fidelity": "reject"}, note)
