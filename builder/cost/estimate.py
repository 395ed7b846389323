"""What a plan will cost, before anything is sent: tokens and dollars for one or more models."""

# C cells, L languages

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from builder.config import BuildConfig, TeacherConfig
from builder.cost.price import price_of
from builder.cost.tokens import (
    JUDGE_REPLY_TOKENS,
    PROMPT_CHARS_PER_TOKEN,
    SCHEMA_CHARS_PER_TOKEN,
    image_tokens,
    judged_texts_tokens,
    reply_tokens,
    sent_size,
)
from builder.plan.shares import Targets
from builder.prompts import ImageText, Prompt, Templates, templates_of
from builder.prompts.specimen import specimen, specimen_job
from schemas.reply import judge_schema, reply_schema
from schemas.sample import Draft
from schemas.vocabulary import Cell


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated tokens and price of a number of calls to one model.

    Args:
        model: The model.
        num_calls: Requests, those for replies that are dropped included.
        input_tokens: Of text, reply schema and images; no discount for cached prefixes.
        output_tokens: Of replies.
        usd: None where neither configuration nor price table knows the model.
    """

    model: str
    num_calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None

    @property
    def batch_usd(self) -> float | None:
        """Where the endpoint has a Batch API at half price."""
        return None if self.usd is None else self.usd / 2

    def __add__(self, other: "Estimate") -> "Estimate":
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Estimate(
            f"{self.model} + {other.model}",
            self.num_calls + other.num_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            usd,
        )


def estimate(
    teacher: TeacherConfig,
    config: BuildConfig,
    targets: Targets,
    planned_CL: NDArray[np.int64],
    *,
    image_size: tuple[float, float] = (0, 0),
    drop_share: float = 0.05,
    prompt_chars: Callable[[Cell], int] | None = None,
    shown_chars: float = 0.0,
) -> Estimate:
    """Tokens and price of a table of jobs.

    Args:
        teacher: The model; its `prices` go before the price table.
        config: Gives the size images are sent in.
        targets: Cells and languages of the table.
        planned_CL: Jobs, shape (C, L).
        image_size: Mean width and height in the store; (0, 0) where unknown.
        drop_share: Share of replies expected to be dropped and asked for again.
        prompt_chars: Length of a cell's prompt; measured on a rendered one by default.
        shown_chars: Mean length of an image's caption and alternative text; they go out where the
            configuration says so.
    """
    templates = templates_of(config)
    own_fields = templates.own_fields

    def text_tokens(cell: Cell) -> float:
        chars = prompt_chars(cell) if prompt_chars else _chars(specimen(cell, "en", templates))
        schema = reply_schema(cell, own_fields)
        return chars / PROMPT_CHARS_PER_TOKEN + _schema_tokens(teacher, schema)

    text_C = [text_tokens(cell) for cell in targets.cells]
    input_C = np.array(text_C) + _image_tokens(teacher, config, targets, image_size)
    if teacher.use_captions and shown_chars:
        chars_C = [_image_texts_chars(templates, cell, shown_chars) for cell in targets.cells]
        input_C = input_C + np.array(chars_C) / PROMPT_CHARS_PER_TOKEN
    calls_CL = planned_CL / (1 - drop_share)
    output_CL = reply_tokens(targets.cells, targets.languages)
    return _priced(teacher, calls_CL, np.broadcast_to(input_C[:, None], calls_CL.shape), output_CL)


def estimate_judge(
    judge: TeacherConfig,
    config: BuildConfig,
    targets: Targets,
    planned_CL: NDArray[np.int64],
    *,
    image_size: tuple[float, float] = (0, 0),
) -> Estimate:
    """Tokens and price of having each sample that is kept judged once, and chosen about once.

    A choice, where `gates.judge_choice` asks for it, shows what a judgement does and is answered
    more shortly; it is counted as another one.

    Args:
        judge: The model; its `prices` go before the price table.
        config: Gives the size images are sent in.
        targets: Cells and languages of the table.
        planned_CL: Samples to be kept, shape (C, L).
        image_size: Mean width and height in the store; (0, 0) where unknown.
    """
    templates = templates_of(config)
    text_C = [
        _judge_prompt_chars(templates, cell) / PROMPT_CHARS_PER_TOKEN
        + _schema_tokens(judge, judge_schema())
        for cell in targets.cells
    ]
    input_C = np.array(text_C) + _image_tokens(judge, config, targets, image_size)
    input_CL = input_C[:, None] + judged_texts_tokens(targets.cells, targets.languages)
    output_CL = np.full(planned_CL.shape, float(JUDGE_REPLY_TOKENS))
    calls_CL = planned_CL.astype(np.float64) * (2 if config.gates.judge_choice else 1)
    return _priced(judge, calls_CL, input_CL, output_CL)


def _priced(
    model: TeacherConfig,
    calls_CL: NDArray[np.float64],
    input_CL: NDArray[np.float64],
    output_CL: NDArray[np.float64],
) -> Estimate:
    input_tokens = float((calls_CL * input_CL).sum())
    output_tokens = float((calls_CL * output_CL).sum())
    price = price_of(model)
    usd = None
    if price is not None:
        usd = (input_tokens * price.input + output_tokens * price.output) / 1e6
    return Estimate(
        model.model, round(calls_CL.sum()), round(input_tokens), round(output_tokens), usd
    )


def _image_tokens(
    model: TeacherConfig, config: BuildConfig, targets: Targets, image_size: tuple[float, float]
) -> NDArray[np.float64]:
    """Tokens of a job's images in each cell, shape (C,)."""
    each = image_tokens(model.model, *sent_size(*image_size, config.images.max_side_px))
    return np.array([float(each * len(cell.image_roles)) for cell in targets.cells])


def _schema_tokens(model: TeacherConfig, schema: dict[str, Any]) -> float:
    """Tokens of the schema, which goes out with every call that asks for it to be followed."""
    if model.structured_output not in {"auto", "json_schema"}:
        return 0.0
    return len(orjson.dumps(schema)) / SCHEMA_CHARS_PER_TOKEN


def _image_texts_chars(templates: Templates, cell: Cell, shown_chars: float) -> float:
    """Length of what is added to a prompt where every image has a caption of average length."""
    job = specimen_job(cell, "en")
    empty = dict.fromkeys(cell.image_roles, ImageText("-", ""))
    fence = len(templates.prompt(job, empty).user) - len(templates.prompt(job).user)
    return fence + shown_chars * len(cell.image_roles)


def _judge_prompt_chars(templates: Templates, cell: Cell) -> int:
    """Without the texts that are judged."""
    job = specimen_job(cell, "en")
    return _chars(templates.judge(job, Draft(instruction="")))


def _chars(prompt: Prompt) -> int:
    return len(prompt.system) + len(prompt.user) + sum(map(len, prompt.image_labels))
