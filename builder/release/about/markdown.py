"""Escapes foreign text in the Markdown that a release publishes."""

import re

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|[]*_`"})


_BACKTICKS = re.compile("`+")


def table_text(text: str) -> str:
    """A text for a table cell or a heading: one line, without any markup."""
    return " ".join(text.split()).translate(_SPECIAL).replace("&", "&amp;").replace("<", "&lt;")


def code_span(text: str) -> str:
    """A name as inline code for a table cell; its backticks become quotes."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"


def code_block(text: str, language: str) -> str:
    """A fenced block that no line inside can close."""
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
