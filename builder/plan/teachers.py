"""Which teacher writes a job's sample, where a build has several: the same for the same seed."""

import hashlib
from math import log

from builder.config import BuildConfig
from builder.job import Job
from builder.teacher_config import NamedTeacher, TeacherConfig


def writer_of(config: BuildConfig, job: Job) -> tuple[str, TeacherConfig]:
    """Role and settings of the teacher that writes a job's sample.

    Each teacher of the job's language draws a number from seed, job and its own name; the highest
    wins, after weighting. So the choice is the same on every machine and in every run.

    Source: weighted rendezvous hashing, Schindelhauer and Schomaker 2005, "Weighted distributed
    hash tables".
    """
    if not config.teachers:
        return "teacher", config.teacher
    chosen = max(
        teachers_in(config, job.language),
        key=lambda teacher: _draw(f"{config.seed}/{job.id}/{teacher.name}", teacher.weight),
    )
    return chosen.role, chosen


def teachers_in(config: BuildConfig, language: str) -> list[NamedTeacher]:
    """The teachers that write in a language: those that name it, else those that name none."""
    named = [one for one in config.teachers if one.languages and language in one.languages]
    return named or [one for one in config.teachers if one.languages is None]


def share_of(config: BuildConfig, role: str, language: str) -> float:
    """The share of a language's jobs that a teacher gets."""
    if not config.teachers:
        return 1.0
    writing = teachers_in(config, language)
    mine = sum(one.weight for one in writing if one.role == role)
    return mine / sum(one.weight for one in writing)


def _draw(text: str, weight: float) -> float:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    return -weight / log((number + 0.5) / 2**56)
