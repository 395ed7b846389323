"""The published row and its provenance, with the rules a row must satisfy."""

import hashlib
from typing import Annotated, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.vocabulary import CONFIG_OF_TASK as _CONFIG_OF_TASK
from schemas.vocabulary import LANGUAGES, Cell, Config, ImageRole, Modality, TaskType

MAX_TEXT_CHARS = 20_000
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Score = Annotated[int, Field(ge=1, le=5)]

#: Fields that make up a sample's content: what its id and content hash cover.
CONTENT_FIELDS = (
    "language",
    "task_type",
    "modality",
    "instruction",
    "query_text",
    "query_image",
    "positive_text",
    "positive_image",
    "negative_texts",
    "negative_images",
)


class Sample(BaseModel):
    """One query, its positive and its hard negatives.

    Images are named by the sha256 of their bytes; the Parquet form holds the
    bytes themselves. `negative_texts` and `negative_images` have one entry a
    hard negative and so the same length; an entry is null where the document
    side lacks that modality.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$")]
    language: str
    task_type: TaskType
    modality: Modality
    instruction: Text
    query_text: Text | None = None
    query_image: Sha256 | None = None
    positive_text: Text | None = None
    positive_image: Sha256 | None = None
    negative_texts: tuple[Text | None, ...]
    negative_images: tuple[Sha256 | None, ...]
    relevance: Score
    plausibility: Score
    clarity: Score
    diversity: Score
    alignment: float | None = None

    @property
    def cell(self) -> Cell:
        return Cell(self.task_type, self.modality)

    @property
    def config(self) -> Config:
        """Dataset config this row is published under."""
        return _CONFIG_OF_TASK[self.task_type]

    @property
    def images(self) -> list[str]:
        """Every image's sha256: query, positive, then hard negatives; nulls left out."""
        found = (self.query_image, self.positive_image, *self.negative_images)
        return [sha for sha in found if sha is not None]

    @property
    def content_hash(self) -> str:
        """sha256 of the content fields, hex; changes when a reviewer edits a text."""
        return content_hash(self.model_dump(include=set(CONTENT_FIELDS)))

    @model_validator(mode="after")
    def _fits_its_cell(self) -> Self:
        problem = cell_problem(self)
        if problem:
            raise ValueError(problem)
        return self


def cell_problem(sample: Sample) -> str | None:
    """What keeps a sample's sides from fitting its language and cell, or None."""
    if sample.language not in LANGUAGES:
        return f'`language` "{sample.language}" is not one of the 93'
    cell = sample.cell
    expected = (
        ("query_text", sample.query_text, cell.query_has_text),
        ("query_image", sample.query_image, cell.query_has_image),
        ("positive_text", sample.positive_text, cell.document_has_text),
        ("positive_image", sample.positive_image, cell.document_has_image),
    )
    for field, value, wanted in expected:
        if (value is not None) != wanted:
            has = "needs one" if wanted else "has none"
            return f'`{field}` does not fit: modality "{sample.modality}" {has}'
    if not sample.negative_texts or len(sample.negative_texts) != len(sample.negative_images):
        return "`negative_texts` and `negative_images` need one entry a hard negative, at least one"
    for text, image in zip(sample.negative_texts, sample.negative_images, strict=True):
        if (text is not None) != cell.document_has_text:
            return f'`negative_texts` does not fit modality "{sample.modality}"'
        if (image is not None) != cell.document_has_image:
            return f'`negative_images` does not fit modality "{sample.modality}"'
        if (text, image) == (sample.positive_text, sample.positive_image):
            return "a hard negative equals the positive"
    return None


def content_hash(content: dict[str, object]) -> str:
    """sha256 (hex) of the content fields as canonical JSON."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def sample_id(content: dict[str, object]) -> str:
    """Id of a sample first kept with this content: 24 hex digits of its content hash.

    An edit keeps the id, so that versions can be compared row by row.
    """
    return content_hash(content)[:24]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interpretation(_Record):
    """One image as the teacher sees it, under the four aspects of mmE5, in English."""

    image: ImageRole
    general: str
    objects: str
    context: str
    task_ideas: str


class Draft(_Record):
    """The texts of a sample, before or after revision, whatever the task type calls them."""

    instruction: str
    query_text: str | None = None
    positive_text: str | None = None
    negative_text: str | None = None


class Criterion(_Record):
    score: Score
    reason: str


class Evaluation(_Record):
    """The teacher's judgement of its own draft."""

    relevance: Criterion
    plausibility: Criterion
    clarity: Criterion
    diversity: Criterion
    improvements: str


class LanguageVote(_Record):
    """What one identifier said of one text; `detected` is null when it abstained."""

    field: str
    identifier: str
    detected: str | None


class CheckResult(_Record):
    check: str
    result: Literal["kept", "abstained"]


class ImageSource(_Record):
    """Where an image of the sample came from; `group` never crosses the split."""

    role: ImageRole
    sha256: Sha256
    group: str
    source: str
    licence: str


class Provenance(_Record):
    """How a sample came about; published as the `provenance` config under the same `id`."""

    id: str
    language: str
    task_type: TaskType
    modality: Modality
    teacher_model: str
    prompt_hash: str
    request_hash: str
    seed: int
    round: int
    length: str
    difficulty: str
    text_register: str
    task_idea: str
    interpretations: tuple[Interpretation, ...]
    draft: Draft
    evaluation: Evaluation
    revision: Draft
    judge: Evaluation | None = None
    judge_model: str | None = None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None = None
    checks: tuple[CheckResult, ...]
    language_votes: tuple[LanguageVote, ...]
    images: tuple[ImageSource, ...]
