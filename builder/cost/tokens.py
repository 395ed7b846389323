"""How many tokens texts and images cost, by family of model: for estimates only.

Images by published formulas; texts from counts measured per language. Shapes: C cells, L languages.
"""

import re
from collections.abc import Sequence
from functools import cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from builder.images import data_url
from schemas.reply import draft_names
from schemas.vocabulary import Cell

#: Matched in order against the model's name without its provider's prefix.
_FAMILIES: tuple[tuple[str, str], ...] = (
    (r"gpt-4o-mini", "tiles 2833 5667"),
    (r"gpt-4\.1-nano|gpt-5(\.\d+)?-nano", "patches 2.46"),
    (r"gpt-4\.1-mini|gpt-5(\.\d+)?-mini", "patches 1.62"),
    (r"o4-mini", "patches 1.72"),
    (r"gpt-5", "tiles 70 140"),
    (r"gpt-4|chatgpt-4o", "tiles 85 170"),
    (r"claude", "area 750 1568"),
    (r"gemini-(1|2)", "gemini"),
    (r"gemini", "fixed 1120"),
    (r"qwen2|qwen-?vl", "area 784 4096"),
)
_OTHER = "area 1024 2048"


def image_tokens(model: str, width: int, height: int) -> int:
    """Estimated prompt tokens of one image.

    Args:
        model: Name as the endpoint takes it.
        width: In pixels, as sent.
        height: The same.

    Source: the image sections of OpenAI's, Anthropic's and Google's API
    documentation and Qwen-VL's processor, read in 2025; providers change them.
    """
    name = model.rsplit("/", 1)[-1].lower()
    rule = next((rule for pattern, rule in _FAMILIES if re.match(pattern, name)), _OTHER)
    kind, *numbers = rule.split()
    values = [float(number) for number in numbers]
    if kind == "tiles":
        return _tiles(width, height, *values)
    if kind == "patches":
        return ceil(min(1536, ceil(width / 32) * ceil(height / 32)) * values[0])
    if kind == "fixed":
        return round(values[0])
    if kind == "gemini":
        small = max(width, height) <= 384
        return 258 if small else 258 * ceil(width / 768) * ceil(height / 768)
    pixels_per_token, max_side_px = values
    shrink = min(1.0, max_side_px / max(width, height))
    return ceil(width * shrink * height * shrink / pixels_per_token)


def _tiles(width: int, height: int, base: float, each: float) -> int:
    """OpenAI's high detail: into 2048 px, the short side to 768, tiles of 512."""
    shrink = min(1.0, 2048 / max(width, height))
    shrink *= min(1.0, 768 / (min(width, height) * shrink))
    return round(base + each * ceil(width * shrink / 512) * ceil(height * shrink / 512))


def sent_size(width: float, height: float, max_side_px: int) -> tuple[int, int]:
    """Size an image is sent in; an unknown size (0) counts as a full 4 : 3 picture."""
    if width <= 0 or height <= 0:
        return max_side_px, round(max_side_px * 3 / 4)
    return data_url.sent_size(width, height, max_side_px)


# All counts are of GPT-4o's vocabulary (o200k_base); others take a tenth more or less of English,
# and more of rare scripts.

#: Characters per token of our prompts, and of a reply schema's JSON.
PROMPT_CHARS_PER_TOKEN = 4.3
SCHEMA_CHARS_PER_TOKEN = 4.05

#: Of replies as large models write them (`tests/generate/realistic.json`): four aspects of an
#: image; four scores with reasons, improvements, two instructions and all names in English; a
#: judge's reply; and of every text its name and, in English, itself.
_INTERPRETATION_TOKENS = 290
_ENGLISH_TOKENS = 263
JUDGE_REPLY_TOKENS = 185
_NAME_TOKENS = 5
_INSTRUCTION_TOKENS = 25
_TEXT_TOKENS = {
    "query_text": {"classification": 26, "vqa": 18, "retrieval": 20},
    "positive_text": {"classification": 7, "vqa": 10, "retrieval": 65},
    "negative_text": {"classification": 7, "vqa": 10, "retrieval": 65},
}

#: Tokens of the Universal Declaration of Human Rights against those of its English text; that of
#: as, or and sd from a few sentences.
_FACTORS = """
af 1.36 am 5.36 ar 1.18 as 1.80 az 1.67 be 1.86 bg 1.70 bn 1.66 br 1.77 bs 1.47 ca 1.43 cs 1.66
cy 1.71 da 1.44 de 1.26 el 2.17 en 1.00 eo 1.55 es 1.22 et 1.60 eu 1.72 fa 1.42 fi 1.62 fr 1.31
fy 1.84 ga 1.83 gd 1.83 gl 1.34 gu 1.74 ha 2.15 he 1.41 hi 1.58 hr 1.46 hu 1.99 hy 1.51 id 1.46
is 1.64 it 1.42 ja 1.71 jv 1.95 ka 1.65 kk 1.67 km 3.21 kn 2.07 ko 1.36 ku 1.89 ky 1.79 la 1.34
lo 9.23 lt 1.81 lv 1.80 mg 1.84 mk 1.74 ml 1.83 mn 2.01 mr 1.89 ms 1.53 my 3.93 ne 1.36 nl 1.38
no 1.35 om 1.67 or 4.00 pa 2.65 pl 1.73 ps 1.75 pt 1.17 ro 1.72 ru 1.38 sa 2.03 sd 1.80 si 2.86
sk 1.73 sl 1.57 so 1.51 sq 1.83 sr 1.63 su 1.68 sv 1.45 sw 1.42 ta 2.27 te 2.60 th 1.92 tl 1.71
tr 1.48 ug 2.86 uk 1.72 ur 1.51 uz 1.94 vi 1.51 xh 1.71 yi 2.37 zh 1.12
"""


def language_factor(code: str) -> float:
    """Tokens of a text in a language against the same text in English."""
    return _factors()[code]


@cache
def _factors() -> dict[str, float]:
    words = _FACTORS.split()
    return dict(zip(words[::2], map(float, words[1::2]), strict=True))


def reply_tokens(cells: Sequence[Cell], languages: Sequence[str]) -> NDArray[np.float64]:
    """Estimated tokens of a reply in each cell and language, shape (C, L)."""
    english_C, text_C = [], []
    for cell in cells:
        names = draft_names(cell)
        # Every text is in the draft and in the revision.
        english_C.append(
            len(cell.image_roles) * _INTERPRETATION_TOKENS
            + _ENGLISH_TOKENS
            + 2 * len(names) * _NAME_TOKENS
        )
        text_C.append(2 * _texts_tokens(cell))
    factor_L = np.array([language_factor(code) for code in languages])
    return np.array(english_C, dtype=np.float64)[:, None] + np.outer(text_C, factor_L)


def judged_texts_tokens(cells: Sequence[Cell], languages: Sequence[str]) -> NDArray[np.float64]:
    """Estimated tokens of the texts that a judge is shown, shape (C, L)."""
    names_C = [_INSTRUCTION_TOKENS + len(draft_names(cell)) * _NAME_TOKENS for cell in cells]
    text_C = [_texts_tokens(cell) for cell in cells]
    factor_L = np.array([language_factor(code) for code in languages])
    return np.array(names_C, dtype=np.float64)[:, None] + np.outer(text_C, factor_L)


def _texts_tokens(cell: Cell) -> int:
    return sum(_TEXT_TOKENS[name][cell.task_type] for name in draft_names(cell))
