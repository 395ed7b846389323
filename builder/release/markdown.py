"""Text from outside inside the Markdown that a release publishes: data, never markup."""

import re

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|[]*_`"})


_BACKTICKS = re.compile("`+")


def table_text(text: str) -> str:
    """A text that may stand in a table's cell or a heading: one line, shown as it is."""
    return " ".join(text.split()).translate(_SPECIAL).replace("&", "&amp;").replace("<", "&lt;")


def code_span(text: str) -> str:
    """A name in code letters, which may stand in a table's cell; its backticks become quotes."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"


def code_block(text: str, language: str) -> str:
    """Lines in a fence that none of them can close."""
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
