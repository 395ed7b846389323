"""What a page does when it is opened in a browser."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.context import Context


def on_open(handler: Callable[..., Any], outputs: Any, *, is_slow: bool = False) -> None:
    """Runs a handler whenever the page that is being built is opened.

    Only inside the page's route: `Blocks.load` then fires on this page and on no other.

    Args:
        is_slow: It may take seconds; it waits in Gradio's queue, which shows that it runs.
    """
    blocks = Context.root_block
    assert isinstance(blocks, gr.Blocks), "called outside a page"
    blocks.load(handler, None, outputs, api_visibility="private", queue=is_slow)
