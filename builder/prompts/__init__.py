"""What the teacher and the judge are asked: one template a cell, and its rendering."""

from builder.prompts.image_texts import ImageText
from builder.prompts.own_fields import PromptError
from builder.prompts.render import (
    Prompt,
    Templates,
    correction,
    render_judge,
    render_prompt,
    templates_of,
)
from builder.prompts.skeleton import judge_skeleton, reply_skeleton

__all__ = [
    "ImageText",
    "Prompt",
    "PromptError",
    "Templates",
    "correction",
    "judge_skeleton",
    "render_judge",
    "render_prompt",
    "reply_skeleton",
    "templates_of",
]
