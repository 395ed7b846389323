"""Text from outside inside a model card: data, never markup."""

import re

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|[]*_`~$"})
_BACKTICKS = re.compile("`+")


def plain_text(text: str) -> str:
    """A text for any place in a card: one line, shown as it is."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").translate(_SPECIAL)
    return line.replace("://", ":&#8203;//").replace("www.", "www&#8203;.")


def code_span(text: str) -> str:
    """A name as code, also for a table's cell; its backticks become quotes."""
    return "`" + (one_line(text).replace("`", "'").replace("|", "¦") or " ") + "`"


def code_block(text: str, language: str) -> str:
    """Lines in a fence that none of them can close."""
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def one_line(text: str) -> str:
    """Printable and on one line: neither line breaks nor marks that turn text around."""
    spaced = " ".join(text.split())
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in spaced
    )
