"""What the teacher and the judge are asked: one template a cell, and its rendering."""

from builder.prompts.image_texts import ImageText
from builder.prompts.render import Prompt, correction, render_judge, render_prompt
from builder.prompts.skeleton import judge_skeleton, reply_skeleton

__all__ = [
    "ImageText",
    "Prompt",
    "correction",
    "judge_skeleton",
    "render_judge",
    "render_prompt",
    "reply_skeleton",
]
