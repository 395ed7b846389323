"""From a reviewer's decision to a review event, refused where it does not fit the row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from curation_app.data.version import Row
from schemas.edits import EditError, apply_edits, changed_texts, text_problem
from schemas.errors import PolysceneError
from schemas.reasons import REASON_BY_CODE
from schemas.review import Edits, Facet, Phase, ReviewEvent, Verdict
from schemas.sample import Sample
from schemas.text_rules import TextRulesConfig
from schemas.text_rules.edited import edit_problem

#: Written into every event: which page the reviewer saw.
UI_VERSION = "review/2"
#: How long a card must have been shown before a verdict on it counts, in milliseconds: about
#: the time of the quickest human reaction to something seen.
MIN_ACTIVE_MS = 150

EventId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{8,64}$")]
DecisionKind = Literal["verdict", "edit", "skip", "flag", "adjudicate"]


class DecisionError(PolysceneError):
    """A decision does not fit the row it names."""


class NotYetShown(DecisionError):
    """A verdict came before its reader can have seen the card."""

    def __init__(self, ms_active: int | None) -> None:
        shown = "had not been shown" if ms_active is None else f"had been shown for {ms_active} ms"
        super().__init__(f"The card {shown}. Nothing was stored; look at it, then decide.")


class EditProblems(EditError):
    """Edits that a release would refuse; one error a text.

    Args:
        problems: At least one.
    """

    def __init__(self, problems: list[EditError]) -> None:
        self.problems = problems
        super().__init__(problems[0].field, problems[0].what)


class Decision(BaseModel):
    """What one reviewer decides about one row; `edits` hold only what differs from the row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: EventId
    sample_id: str
    content_hash: str
    kind: DecisionKind
    verdict: Verdict | None = None
    facets: dict[Facet, Verdict] = {}
    reasons: tuple[str, ...] = ()
    edits: Edits | None = None
    note: Annotated[str, StringConstraints(max_length=2_000)] = ""
    ms_active: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    ui_version: str = UI_VERSION

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.verdict is not None) != (self.kind in {"verdict", "edit", "adjudicate"}):
            raise ValueError(f'kind "{self.kind}" and verdict "{self.verdict}" do not go together')
        if self.kind == "edit" and self.edits is None:
            raise ValueError('kind "edit" needs `edits`')
        if self.edits is not None and self.kind not in {"edit", "adjudicate"}:
            raise ValueError(f'kind "{self.kind}" and `edits` do not go together')
        if self.edits is not None and self.verdict != "accept":
            raise ValueError("an edit accepts the row as edited; `verdict` must be accept")
        unknown = [code for code in self.reasons if code not in REASON_BY_CODE]
        if unknown:
            raise ValueError(f'no reason "{unknown[0]}"; one of {", ".join(REASON_BY_CODE)}')
        return self


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and how a decision was made, as its event records it.

    Args:
        queue_id: "" outside any queue.
        inclusion_prob: Where an audit's design drew the row.
        phase: Whether machine scores and others' verdicts were hidden.
        guideline_version: The guidelines in force; None where there are none.
        seen_edit: Event id of the edit whose text was shown, "" for the
            published text; None where it is not known.
    """

    queue_id: str = ""
    inclusion_prob: float | None = None
    phase: Phase = ""
    guideline_version: int | None = None
    seen_edit: str | None = None


def review_event(
    decision: Decision,
    row: Row,
    *,
    reviewer: str,
    version: str,
    now: datetime,
    circumstances: Circumstances | None = None,
    rules: TextRulesConfig | None = None,
) -> ReviewEvent:
    """The event that a decision on a row becomes.

    Facets are those the reviewer marked and those that the reasons of a
    reject speak of; a reason outweighs a mark.

    Args:
        rules: Bounds that the next release sets on edited texts; the defaults when None.

    Raises:
        DecisionError: The row changed since it was looked at.
        EditError: The edits cannot be taken.
    """
    if decision.content_hash != row.content_hash:
        raise DecisionError(
            f'sample "{decision.sample_id}": it changed since it was looked at. Look at it again.'
        )
    if decision.edits is not None:
        problems = edit_problems(row.sample, decision.edits, rules or TextRulesConfig())
        if problems:
            raise problems[0] if len(problems) == 1 else EditProblems(problems)
    facets = dict(decision.facets)
    if decision.verdict == "reject":
        facets.update({REASON_BY_CODE[code].facet: "reject" for code in decision.reasons})
    where = circumstances or Circumstances()
    return ReviewEvent.model_validate(
        {
            **decision.model_dump(),
            "facets": facets,
            "ts": now.isoformat(timespec="milliseconds"),
            "reviewer": reviewer,
            "dataset_version": version,
            "queue_id": where.queue_id,
            "inclusion_prob": where.inclusion_prob,
            "phase": where.phase,
            "guideline_version": where.guideline_version,
            "seen_edit": where.seen_edit,
        }
    )


def edit_problems(sample: Sample, edits: Edits, rules: TextRulesConfig) -> list[EditError]:
    """Everything that keeps edits from being released, each at the text that is wrong.

    Every changed text is looked at by itself first, so that a page can mark
    all of them at once; what they make together goes through the rules of the
    release when each is sound.
    """
    problems = _problems_of_form(sample, edits)
    if not problems:
        problem = edit_problem(sample, edits, rules)
        if problem is not None:
            problems.append(problem)
    return problems


def _problems_of_form(sample: Sample, edits: Edits) -> list[EditError]:
    problems = [
        EditError(field, problem)
        for field, text in changed_texts(sample, edits)
        if (problem := text_problem(text))
    ]
    if not problems:
        try:
            apply_edits(sample, edits)
        except EditError as exc:
            problems.append(exc)
    return problems


def edits_between(sample: Sample, texts: Mapping[str, object]) -> Edits:
    """What full texts, as a page's text areas hold them, change in a sample.

    A text area knows no line end but LF: a text that differs from the row's in
    its line ends alone is unchanged.

    Args:
        sample: The row as published.
        texts: `instruction`, `query_text`, `positive_text` (strings) and
            `negative_texts` (a list); those the row lacks are left out.

    Raises:
        EditProblems: Texts cannot be taken, or are ones the row does not have.
    """
    changed: dict[str, object] = {}
    for field in ("instruction", "query_text", "positive_text"):
        text = texts.get(field)
        if text is not None and not _is_same(text, getattr(sample, field)):
            changed[field] = text
    negatives = texts.get("negative_texts")
    if isinstance(negatives, list):
        published = dict(enumerate(sample.negative_texts))
        kept = [
            published.get(index) if _is_same(text, published.get(index)) else text
            for index, text in enumerate(negatives)
        ]
        if tuple(kept) != sample.negative_texts:
            changed["negative_texts"] = kept
    problems = [
        EditError(field, problem)
        for field, text in _single_texts(changed, sample)
        if (problem := _problem(text))
    ]
    edits = None
    if not problems:
        edits = Edits.model_validate(changed)
        problems = _problems_of_form(sample, edits)
    if problems or edits is None:
        raise EditProblems(problems)
    return edits


def _single_texts(changed: Mapping[str, object], sample: Sample) -> list[tuple[str, object]]:
    """Field and text of each changed one; a hard negative that stays is left out."""
    found: list[tuple[str, object]] = []
    for field, value in changed.items():
        if not isinstance(value, list):
            found.append((field, value))
            continue
        for index, text in enumerate(value):
            if text not in sample.negative_texts[index : index + 1]:
                found.append((f"{field}.{index}", text))
    return found


def _is_same(text: object, published: str | None) -> bool:
    if not isinstance(text, str) or published is None:
        return text == published
    return _with_lf(text) == _with_lf(published)


def _with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _problem(text: object) -> str | None:
    """What is wrong with a text from a page, before pydantic sees it: it knows no surrogates."""
    return text_problem(text) if isinstance(text, str) else "is not a text. Write one."
