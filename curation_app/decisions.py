"""From a reviewer's decision to a review event, refused where it does not fit the row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from curation_app.dataset import Row
from schemas.edits import EditError, apply_edits, text_problem
from schemas.errors import PolysceneError
from schemas.reasons import REASON_BY_CODE
from schemas.review import Edits, ReviewEvent, Verdict
from schemas.sample import Sample

#: Written into every event: which page the reviewer saw.
UI_VERSION = "review/1"

EventId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{8,64}$")]


class DecisionError(PolysceneError):
    """A decision does not fit the row it names."""


class Decision(BaseModel):
    """What one reviewer decides about one row; `edits` hold only what differs from the row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: EventId
    sample_id: str
    content_hash: str
    kind: Literal["verdict", "edit", "skip", "flag"]
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    edits: Edits | None = None
    note: Annotated[str, StringConstraints(max_length=2_000)] = ""
    ms_active: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    ui_version: str = UI_VERSION

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.verdict is not None) != (self.kind in {"verdict", "edit"}):
            raise ValueError(f'kind "{self.kind}" and verdict "{self.verdict}" do not go together')
        if (self.edits is not None) != (self.kind == "edit"):
            raise ValueError(f'kind "{self.kind}" and `edits` do not go together')
        if self.kind == "edit" and self.verdict != "accept":
            raise ValueError("an edit accepts the row as edited; `verdict` must be accept")
        unknown = [code for code in self.reasons if code not in REASON_BY_CODE]
        if unknown:
            raise ValueError(f'no reason "{unknown[0]}"; one of {", ".join(REASON_BY_CODE)}')
        return self


def review_event(
    decision: Decision, row: Row, *, reviewer: str, version: str, now: datetime
) -> ReviewEvent:
    """The event that a decision on a row becomes.

    Raises:
        DecisionError: The row changed since it was looked at.
        EditError: The edits cannot be taken.
    """
    where = f'sample "{decision.sample_id}"'
    if decision.content_hash != row.content_hash:
        raise DecisionError(f"{where}: it changed since it was looked at. Look at it again.")
    if decision.edits is not None:
        apply_edits(row.sample, decision.edits)
    facets = {REASON_BY_CODE[code].facet: "reject" for code in decision.reasons}
    return ReviewEvent.model_validate(
        {
            **decision.model_dump(),
            "facets": facets if decision.verdict == "reject" else {},
            "ts": now.isoformat(timespec="milliseconds"),
            "reviewer": reviewer,
            "dataset_version": version,
        }
    )


def edits_between(sample: Sample, texts: Mapping[str, object]) -> Edits:
    """What full texts, as a page's text areas hold them, change in a sample.

    Args:
        sample: The row as published.
        texts: `instruction`, `query_text`, `positive_text` (strings) and
            `negative_texts` (a list); those the row lacks are left out.

    Raises:
        EditError: A text cannot be taken, or is one the row does not have.
    """
    changed: dict[str, object] = {}
    for field in ("instruction", "query_text", "positive_text"):
        text = texts.get(field)
        if text is not None and text != getattr(sample, field):
            changed[field] = _checked(field, text)
    negatives = texts.get("negative_texts")
    if isinstance(negatives, list) and tuple(negatives) != sample.negative_texts:
        changed["negative_texts"] = [
            text
            if text in sample.negative_texts[index : index + 1]
            else _checked(f"negative_texts.{index}", text)
            for index, text in enumerate(negatives)
        ]
    edits = Edits.model_validate(changed)
    apply_edits(sample, edits)
    return edits


def _checked(field: str, text: object) -> object:
    """A text from a page, looked at before pydantic, which knows no half characters."""
    problem = text_problem(text) if isinstance(text, str) else "is no text. Write one."
    if problem:
        raise EditError(field, problem)
    return text
