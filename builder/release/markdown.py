"""Text from outside inside the Markdown that a release publishes: data, never markup."""

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|[]*_`"})


def table_text(text: str) -> str:
    """A text that may stand in a table's cell or a heading: one line, shown as it is."""
    return " ".join(text.split()).translate(_SPECIAL).replace("&", "&amp;").replace("<", "&lt;")


def code_span(text: str) -> str:
    """A name in code letters, which may stand in a table's cell; its backticks become quotes."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"
