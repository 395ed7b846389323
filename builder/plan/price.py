"""What a plan will cost, before anything is sent: tokens and dollars for one or more models."""

# C cells, L languages

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builder.config import BuildConfig, TeacherConfig
from builder.generate.cost import price_of
from builder.plan.image_tokens import image_tokens, sent_size
from builder.plan.job import Job
from builder.plan.knobs import load_knobs
from builder.plan.shares import Targets
from builder.prompts import render_prompt
from schemas.reply import draft_names
from schemas.vocabulary import LANGUAGES, Cell

_CHARS_A_TOKEN = 4.2
#: English tokens of a reply's parts. The interpretations hold four aspects of an image; the
#: evaluation four scores with reasons, and improvements; the frame is JSON names and braces.
_INTERPRETATION_TOKENS = 110
_INSTRUCTION_TOKENS = 22
_EVALUATION_TOKENS = 170
_FRAME_TOKENS = 60
_TEXT_TOKENS = {
    "query_text": {"classification": 24, "vqa": 16, "retrieval": 20},
    "positive_text": {"classification": 4, "vqa": 8, "retrieval": 55},
    "negative_text": {"classification": 4, "vqa": 8, "retrieval": 55},
}
#: Tokens of a text against the same text in English, by script; a vocabulary of 200,000 tokens.
#: Rough: tokenisers differ, and short texts more so.
_SCRIPT_FACTOR = {
    "Latn": 1.5,
    "Hans": 1.3,
    "Cyrl": 1.8,
    "Arab": 1.7,
    "Hebr": 1.9,
    "Grek": 2.1,
    "Jpan": 1.6,
    "Kore": 1.6,
    "Deva": 1.7,
    "Thai": 2.0,
    "Armn": 2.3,
    "Geor": 2.3,
    "Ethi": 4.0,
    "Khmr": 3.5,
    "Laoo": 3.5,
    "Mymr": 3.5,
    "Sinh": 3.0,
    "Orya": 3.5,
}
_OTHER_FACTOR = 2.3  # Bengali, Gujarati, Gurmukhi, Kannada, Malayalam, Tamil, Telugu


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated tokens and price of a number of calls to one model.

    Args:
        model: The model.
        num_calls: Requests, those for replies that are dropped included.
        input_tokens: Of text and images; no discount for cached prefixes.
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


def estimate(
    teacher: TeacherConfig,
    config: BuildConfig,
    targets: Targets,
    planned_CL: NDArray[np.int64],
    *,
    image_size: tuple[float, float] = (0, 0),
    drop_share: float = 0.05,
    prompt_chars: Callable[[Cell], int] | None = None,
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
    """
    size = sent_size(*image_size, config.images.max_side_px)
    image = image_tokens(teacher.model, *size)
    chars = prompt_chars or _prompt_chars
    input_C = np.array(
        [chars(cell) / _CHARS_A_TOKEN + image * len(cell.image_roles) for cell in targets.cells]
    )
    output_CL = reply_tokens(targets.cells, targets.languages)
    calls_CL = planned_CL / (1 - drop_share)
    input_tokens = float((calls_CL.sum(axis=1) * input_C).sum())
    output_tokens = float((calls_CL * output_CL).sum())
    price = price_of(teacher)
    usd = None
    if price is not None:
        usd = (input_tokens * price.input + output_tokens * price.output) / 1e6
    return Estimate(
        teacher.model, round(calls_CL.sum()), round(input_tokens), round(output_tokens), usd
    )


def reply_tokens(cells: Sequence[Cell], languages: Sequence[str]) -> NDArray[np.float64]:
    """Estimated tokens of a reply in each cell and language, shape (C, L)."""
    english_C, text_C = [], []
    for cell in cells:
        images = max(1, len(cell.image_roles))
        english_C.append(
            images * _INTERPRETATION_TOKENS
            + 2 * _INSTRUCTION_TOKENS
            + _EVALUATION_TOKENS
            + _FRAME_TOKENS
        )
        # Draft and revision hold every text once each.
        text_C.append(2 * sum(_TEXT_TOKENS[name][cell.task_type] for name in draft_names(cell)))
    factor_L = np.array([language_factor(code) for code in languages])
    return np.array(english_C)[:, None] + np.outer(text_C, factor_L)


def language_factor(code: str) -> float:
    """Tokens of a text in a language against the same text in English."""
    if code == "en":
        return 1.0
    return _SCRIPT_FACTOR.get(LANGUAGES[code].scripts[0], _OTHER_FACTOR)


def _prompt_chars(cell: Cell) -> int:
    knobs = load_knobs()
    images = ("0" * 64,) * len(cell.image_roles)
    job = Job(
        "0" * 24, 0, 0, cell, "en", 2**47, images, knobs.lengths[3], knobs.difficulties[1],
        knobs.registers[0], knobs.idea(cell, 0),
    )  # fmt: skip
    prompt = render_prompt(job)
    return len(prompt.system) + len(prompt.user)
