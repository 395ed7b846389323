"""How many tokens an image costs, by family of model: published formulas, for estimates only."""

import re
from math import ceil

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
    pixels_a_token, max_side_px = values
    shrink = min(1.0, max_side_px / max(width, height))
    return ceil(width * shrink * height * shrink / pixels_a_token)


def _tiles(width: int, height: int, base: float, each: float) -> int:
    """OpenAI's high detail: into 2048 px, the short side to 768, tiles of 512."""
    shrink = min(1.0, 2048 / max(width, height))
    shrink *= min(1.0, 768 / (min(width, height) * shrink))
    return round(base + each * ceil(width * shrink / 512) * ceil(height * shrink / 512))


def sent_size(width: float, height: float, max_side_px: int) -> tuple[int, int]:
    """Size an image is sent in; an unknown size (0) counts as a full 4 : 3 picture."""
    if width <= 0 or height <= 0:
        return max_side_px, round(max_side_px * 3 / 4)
    shrink = min(1.0, max_side_px / max(width, height))
    # Never below one pixel, whatever the aspect.
    return max(1, round(width * shrink)), max(1, round(height * shrink))
