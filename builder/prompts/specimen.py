"""A made-up job of each cell, to show a prompt without a plan."""

from builder.job import Job
from builder.prompts.choices import render_choice
from builder.prompts.render import Prompt, Templates
from schemas.errors import PolysceneError
from schemas.sample import Draft, Sample
from schemas.vocabulary import CELL_BY_NAME, Cell


class UnknownCell(PolysceneError):
    """A prompt was asked for that does not exist."""


JUDGED_DRAFT = Draft(
    instruction="Find the caption that tells what the animal is about to do.",
    positive_text="(text of the positive)",
    negative_text="(text of the hard negative)",
)


def specimen(cell: Cell, language: str, templates: Templates | None = None) -> Prompt:
    """The prompt of a made-up job, from the built-in templates if none are given."""
    return (templates or Templates()).prompt(specimen_job(cell, language))


def judge_specimen(language: str, templates: Templates | None = None) -> Prompt:
    """The judge's prompt for a made-up sample."""
    job = specimen_job(CELL_BY_NAME["retrieval_i2t"], language)
    return (templates or Templates()).judge(job, JUDGED_DRAFT)


def choice_specimen(language: str, templates: Templates | None = None) -> Prompt:
    """The prompt in which the judge chooses, for a made-up sample."""
    sample = Sample(
        id="0" * 24,
        task_type="retrieval",
        modality="I->T",
        language=language,
        instruction=JUDGED_DRAFT.instruction,
        query_image="0" * 64,
        positive_text=JUDGED_DRAFT.positive_text,
        negative_texts=(JUDGED_DRAFT.negative_text,),
        negative_images=(None,),
        relevance=3,
        plausibility=3,
        clarity=3,
        diversity=3,
    )
    return render_choice(templates or Templates(), sample, (1, 0))


def specimen_job(cell: Cell, language: str) -> Job:
    """A made-up job of a cell."""
    return Job(
        id="0" * 24,
        round=0,
        index=0,
        cell=cell,
        language=language,
        seed=1,
        images=("0" * 64,) * len(cell.image_roles),
        length="8 to 15 words",
        difficulty="medium: the hard negative shares the topic, one stated fact differs",
        text_register="neutral",
        task_idea="what an animal is about to do, for a nature field guide",
    )
