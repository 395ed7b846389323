"""Checks a recipe of one's own, its prompts and task ideas, before the first request."""

from builder.config import BuildConfig
from builder.plan.variations import variations_of
from builder.prompts.check import require_prompts_render


def require_recipe(config: BuildConfig) -> None:
    """Renders all prompts and reads all lists of a configuration that has some of its own.

    Raises:
        PromptError: Something in them is wrong; names file, line and cell.
    """
    variations_of(config)
    require_prompts_render(config)
