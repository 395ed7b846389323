"""How a job ends: a kept sample with its provenance, or the reason it was dropped."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from builder.config import BuildConfig
from builder.generate.reply import Read
from builder.images.store import ImageRecord
from builder.job import Job
from builder.ledger.tables import Outcome
from builder.plan.teachers import writer_of
from builder.prompts import ImageText, templates_of
from schemas.reply import Reply, own_values, to_draft
from schemas.sample import (
    CheckResult,
    Draft,
    Evaluation,
    ImageSource,
    Interpretation,
    Provenance,
    Sample,
    sample_id,
)
from schemas.text_rules import CheckReport, check_revision
from schemas.vocabulary import ImageRole


@dataclass(frozen=True, slots=True)
class Paid:
    """Tokens and dollars a sample took, every request for it counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None

    def __add__(self, other: "Paid") -> "Paid":
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Paid(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            round(sum(costs), 9) if costs else None,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """An independent model's evaluation of the revision."""

    evaluation: Evaluation
    model: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A readable reply whose revision went through the row checks; `extra` is JSON."""

    draft: Draft
    revision: Draft
    evaluation: Evaluation
    interpretations: tuple[Interpretation, ...]
    report: CheckReport
    extra: str | None = None


class OutcomeMaker:
    """Turns replies into outcomes.

    Args:
        config: Bounds of the checks, and its teachers.
        image_record: Facts about an image, as `ImageStore.record`.
    """

    def __init__(self, config: BuildConfig, image_record: Callable[[str], ImageRecord]) -> None:
        self._config = config
        self._image_record = lru_cache(4096)(image_record)

    def image_texts(self, job: Job) -> dict[ImageRole, ImageText]:
        """What the teacher is shown of the texts that came with a job's images, by role."""
        _, teacher = writer_of(self._config, job)
        if not teacher.use_captions:
            return {}
        texts: dict[ImageRole, ImageText] = {}
        for role, sha256 in zip(job.cell.image_roles, job.images, strict=True):
            record = self._image_record(sha256)
            texts[role] = ImageText.of(record.caption, record.alt_text)
        return texts

    def check(self, job: Job, read: Read) -> Checked:
        """Runs the row checks over a reply's revision."""
        reply: Reply = read.value
        revision = to_draft(job.cell, reply.revision)
        evaluation = reply.evaluation
        report = check_revision(job.cell, job.language, revision, evaluation, self._config.checks)
        own_fields = templates_of(self._config).own_fields
        extra = orjson.dumps(own_values(reply, own_fields)).decode() if own_fields else None
        interpretations = tuple(reply.interpretations)
        draft = to_draft(job.cell, reply.draft)
        return Checked(draft, revision, evaluation, interpretations, report, extra)

    def sample(self, job: Job, checked: Checked) -> Sample:
        """The row a checked revision makes.

        Raises:
            ValidationError: The row breaks the contract.
        """
        images = dict(zip(job.cell.image_roles, job.images, strict=True))
        revision, evaluation = checked.revision, checked.evaluation
        content: dict[str, Any] = {
            "language": job.language,
            "task_type": job.cell.task_type,
            "modality": job.cell.modality,
            "instruction": revision.instruction,
            "query_text": revision.query_text,
            "query_image": images.get("query"),
            "positive_text": revision.positive_text,
            "positive_image": images.get("positive"),
            "negative_texts": (revision.negative_text,),
            "negative_images": (images.get("negative"),),
        }
        return Sample(
            id=sample_id(content),
            **content,
            relevance=evaluation.relevance.score,
            plausibility=evaluation.plausibility.score,
            clarity=evaluation.clarity.score,
            diversity=evaluation.diversity.score,
        )

    def provenance(
        self,
        job: Job,
        sample: Sample,
        checked: Checked,
        *,
        teacher_model: str,
        prompt_hash: str,
        request_hash: str,
        paid: Paid,
        repaired: bool,
        judged: Judged | None,
    ) -> Provenance:
        """How a sample came about."""
        checks = checked.report.results
        if repaired:
            checks = (CheckResult(check="json_repaired", result="kept"), *checks)
        return Provenance(
            id=sample.id,
            language=job.language,
            task_type=job.cell.task_type,
            modality=job.cell.modality,
            teacher_model=teacher_model,
            prompt_hash=prompt_hash,
            request_hash=request_hash,
            seed=job.seed,
            round=job.round,
            length=job.length,
            difficulty=job.difficulty,
            text_register=job.text_register,
            task_idea=job.task_idea,
            interpretations=checked.interpretations,
            draft=checked.draft,
            evaluation=checked.evaluation,
            revision=checked.revision,
            judge=judged.evaluation if judged else None,
            judge_model=judged.model if judged else None,
            prompt_tokens=paid.prompt_tokens,
            completion_tokens=paid.completion_tokens,
            cost_usd=paid.cost_usd,
            checks=checks,
            language_votes=checked.report.votes,
            images=tuple(self._images(job)),
            extra=checked.extra,
        )

    def judged(self, provenance: Provenance, judged: Judged, cost: Paid) -> bytes:
        """Provenance as JSON after a judge was asked about a sample kept before."""
        paid = Paid(cost_usd=provenance.cost_usd) + cost
        update = {
            "judge": judged.evaluation,
            "judge_model": judged.model,
            "cost_usd": paid.cost_usd,
        }
        changed = provenance.model_copy(update=update)
        return changed.__pydantic_serializer__.to_json(changed)

    def _images(self, job: Job) -> list[ImageSource]:
        sources = []
        shown = self.image_texts(job)
        for role, sha256 in zip(job.cell.image_roles, job.images, strict=True):
            record = self._image_record(sha256)
            sources.append(
                ImageSource(
                    role=role,
                    sha256=sha256,
                    group=record.group,
                    source=record.source,
                    licence=record.licence,
                    licence_id=record.licence_id,
                    **(record.original.as_published() if record.original else {}),
                    shown_text=shown[role].as_published if role in shown else None,
                )
            )
        return sources


def kept(job: Job, sample: Sample, provenance: Provenance) -> Outcome:
    """The outcome of a job that became a sample."""
    return Outcome(
        job_id=job.id,
        round=job.round,
        index=job.index,
        task_type=job.cell.task_type,
        modality=job.cell.modality,
        language=job.language,
        sample_id=sample.id,
        reason=None,
        request_hash=provenance.request_hash,
        sample=sample.__pydantic_serializer__.to_json(sample),
        provenance=provenance.__pydantic_serializer__.to_json(provenance),
    )


def dropped(job: Job, reason: str, request_hash: str | None) -> Outcome:
    """The outcome of a job whose reply cannot be kept."""
    return Outcome(
        job_id=job.id,
        round=job.round,
        index=job.index,
        task_type=job.cell.task_type,
        modality=job.cell.modality,
        language=job.language,
        sample_id=None,
        reason=reason,
        request_hash=request_hash,
        sample=None,
        provenance=None,
    )
