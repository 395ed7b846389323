"""The job that a kept sample came from, made again from its provenance."""

from builder.job import Job
from schemas.sample import Provenance
from schemas.vocabulary import Cell


def job_of_kept(job_id: str, index: int, provenance: Provenance) -> Job:
    """The job a sample came from."""
    return Job(
        id=job_id,
        round=provenance.round,
        index=index,
        cell=Cell(provenance.task_type, provenance.modality),
        language=provenance.language,
        seed=provenance.seed,
        images=tuple(image.sha256 for image in provenance.images),
        length=provenance.length,
        difficulty=provenance.difficulty,
        text_register=provenance.text_register,
        task_idea=provenance.task_idea,
    )
