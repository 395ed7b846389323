"""The published row and its provenance, with the rules a row must satisfy."""

import hashlib
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from schemas.columns import NotContent, Stored, WhereUsed
from schemas.vocabulary import CONFIG_OF_TASK as _CONFIG_OF_TASK
from schemas.vocabulary import LANGUAGES, Cell, Config, ImageRole, Modality, TaskType

MAX_TEXT_CHARS = 20_000
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
#: An image by the sha256 of its bytes; the published column holds the bytes themselves.
ImageHash = Annotated[Sha256, Stored("image")]
Score = Annotated[int, Field(ge=1, le=5), Stored("int8")]


class Sample(BaseModel):
    """One query, its positive and its hard negatives.

    Images are named by the sha256 of their bytes; the Parquet form holds the
    bytes themselves. `negative_texts` and `negative_images` have one entry per
    hard negative and so the same length; an entry is null where the document
    side lacks that modality.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$"), NotContent()]
    language: str
    task_type: TaskType
    modality: Modality
    instruction: Text
    query_text: Text | None = None
    query_image: ImageHash | None = None
    positive_text: Text | None = None
    positive_image: ImageHash | None = None
    negative_texts: tuple[Text | None, ...]
    negative_images: tuple[ImageHash | None, ...]
    relevance: Annotated[Score, NotContent()]
    plausibility: Annotated[Score, NotContent()]
    clarity: Annotated[Score, NotContent()]
    diversity: Annotated[Score, NotContent()]
    alignment: Annotated[float | None, NotContent()] = None

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


#: Fields that make up a sample's content: what its id and content hash cover.
CONTENT_FIELDS = tuple(
    name
    for name, field in Sample.model_fields.items()
    if not any(isinstance(note, NotContent) for note in field.metadata)
)


def cell_problem(sample: Sample) -> str | None:
    """Why a sample does not fit its language and cell, as a clause, or None."""
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
        return (
            "`negative_texts` and `negative_images` need one entry per hard negative, at least one"
        )
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


class _ReplyPart(_Record):
    """A part of a teacher's reply that provenance keeps as it was written (`schemas.reply`).

    Strict: a value of the wrong type is refused, and the reply is asked for
    again. Only a score may be written as 4.0 or "4".
    """

    model_config = ConfigDict(strict=True)


class Interpretation(_ReplyPart):
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


def _to_whole(value: Any) -> Any:
    """The integer that `4.0` or `"4"` means; anything else as it came, for the model to refuse."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value


class Criterion(_ReplyPart):
    """Score and reason under one of the four headings of mmE5."""

    score: Annotated[Score, BeforeValidator(_to_whole)]
    reason: str


class Evaluation(_ReplyPart):
    """The teacher's judgement of its own draft."""

    relevance: Criterion
    plausibility: Criterion
    clarity: Criterion
    diversity: Criterion
    improvements: str


#: Names of the four scores, which a sample and an evaluation share.
SCORES = tuple(
    name for name, field in Evaluation.model_fields.items() if field.annotation is Criterion
)


class LanguageVote(_Record):
    """What one identifier said about one text; `detected` is null when it abstained."""

    field: str
    identifier: str
    detected: str | None


class CheckResult(_Record):
    check: str
    result: Literal["kept", "abstained"]


class ImageSource(_Record):
    """Where an image of the sample came from; `group` never crosses the split.

    `licence` is in the source's own words, `licence_id` the same as SPDX writes
    it, where that could be told. `original_*` describe the file the image was
    made from, where that had metadata, lay on its side, or needed converting.
    `shown_text` is what the teacher was shown of the text that came with it.
    """

    role: ImageRole
    sha256: Sha256
    group: str
    source: str
    licence: str
    licence_id: str | None = None
    original_sha256: Sha256 | None = None
    original_format: str | None = None
    original_width: Annotated[int, Stored("int32")] | None = None
    original_height: Annotated[int, Stored("int32")] | None = None
    original_bytes: int | None = None
    shown_text: str | None = None


class Provenance(_Record):
    """How a sample came about; published as the `provenance` config under the same `id`.

    `extra` is what the teacher wrote into fields of the builder's own, as a JSON
    object; releases without such fields lack the column.
    """

    id: str
    language: str
    task_type: TaskType
    modality: Modality
    teacher_model: str
    prompt_hash: str
    request_hash: str
    seed: int
    round: Annotated[int, Stored("int32")]
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
    prompt_tokens: Annotated[int, Stored("int32")]
    completion_tokens: Annotated[int, Stored("int32")]
    cost_usd: float | None = None
    checks: tuple[CheckResult, ...]
    language_votes: tuple[LanguageVote, ...]
    images: tuple[ImageSource, ...]
    extra: Annotated[str | None, WhereUsed(), Field(exclude_if=lambda value: value is None)] = None
