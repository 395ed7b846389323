"""From a reviewer's decision to a review event, refused where it does not fit the row."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from curation_app.dataset import Row
from curation_app.reasons import REASON_BY_CODE
from schemas.errors import PolysceneError
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
    ms_active: Annotated[int, Field(ge=0)] | None = None
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
        DecisionError: The row changed since it was looked at, or the edits
            leave it no valid sample.
    """
    where = f'sample "{decision.sample_id}"'
    if decision.content_hash != row.content_hash:
        raise DecisionError(f"{where}: it changed since it was looked at. Look at it again.")
    if decision.edits is not None:
        edited_sample(row.sample, decision.edits)
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


def edited_sample(sample: Sample, edits: Edits) -> Sample:
    """The sample with the edits in place.

    Raises:
        DecisionError: What comes out is no valid sample of its cell.
    """
    changed = {field: value for field, value in edits.model_dump().items() if value is not None}
    try:
        return Sample.model_validate({**sample.model_dump(), **changed})
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise DecisionError(
            f'sample "{sample.id}": the edit does not fit: {problem}. Mend the edited text.'
        ) from exc


def edits_between(sample: Sample, texts: dict[str, str | list[str]]) -> Edits:
    """What full texts, as a page's text areas hold them, change in a sample.

    Args:
        sample: The row as published.
        texts: `instruction`, `query_text`, `positive_text` (strings) and
            `negative_texts` (a list); those the row lacks are left out.

    Raises:
        DecisionError: A text is empty or one the row does not have.
    """
    changed: dict[str, object] = {}
    for field in ("instruction", "query_text", "positive_text"):
        text = texts.get(field)
        if text is not None and text != getattr(sample, field):
            changed[field] = text
    negatives = texts.get("negative_texts")
    if negatives is not None and tuple(negatives) != sample.negative_texts:
        changed["negative_texts"] = negatives
    try:
        edits = Edits.model_validate(changed)
    except ValidationError as exc:
        field = ".".join(str(part) for part in exc.errors()[0]["loc"])
        raise DecisionError(
            f'sample "{sample.id}": `{field}` is empty or no text. Write one, or reject the row.'
        ) from exc
    edited_sample(sample, edits)
    return edits
