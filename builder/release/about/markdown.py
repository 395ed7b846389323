"""Escapes foreign text in the Markdown and HTML that a release publishes."""

import html
import re
from collections.abc import Sequence

from schemas.characters import unwanted_character

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|[]*_`~$"})
_BACKTICKS = re.compile("`+")
#: What would begin a heading, quote, list, rule or table row at the start of a line.
_LINE_START = re.compile(r"^(\d*)([#>+=:.)-])")
#: Web and e-mail addresses, which are shown as links and so need no escapes.
_ADDRESS = re.compile(
    r"https?://[\w.~:/?#@!$&'()*+,;=%-]*[\w/#=%-]|[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}",
    re.ASCII | re.IGNORECASE,
)


def one_line(text: str) -> str:
    """A text on one line; characters that no text needs (changes of direction) are spelled out."""
    line = " ".join(text.split())
    if unwanted_character(line) is None:
        return line
    return "".join(f"\\u{ord(char):04x}" if unwanted_character(char) else char for char in line)


def table_text(text: str) -> str:
    """A text for a table cell or a heading: one line, without any markup."""
    return _escaped(one_line(text))


def prose(text: str) -> str:
    """A paragraph of plain text: nothing in it is markup, web and e-mail addresses are links."""
    line = one_line(text)
    parts: list[str] = []
    end = 0
    for found in _ADDRESS.finditer(line):
        parts += [_escaped(line[end : found.start()]), f"<{found[0]}>"]
        end = found.end()
    parts.append(_escaped(line[end:]))
    return _LINE_START.sub(r"\1\\\2", "".join(parts))


def _escaped(line: str) -> str:
    escaped = line.translate(_SPECIAL).replace("&", "&amp;").replace("<", "&lt;")
    return escaped.replace(">", "&gt;")


def paragraphs(text: str | Sequence[str]) -> str:
    """Plain text as paragraphs, one after each blank line; a list as bullet points."""
    if isinstance(text, str):
        parts = re.split(r"\n\s*\n", text)
        return "\n\n".join(prose(part) for part in parts if part.strip())
    return "\n".join(f"- {prose(item)}" for item in text if item.strip())


def code_span(text: str) -> str:
    """A name as inline code for a table cell; its backticks become quotes."""
    return "`" + one_line(text).replace("`", "'").replace("|", "\\|") + "`"


def code_block(text: str, language: str) -> str:
    """A fenced block that no line inside can close."""
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def html_text(text: str, max_chars: int) -> str:
    """A text inside an HTML element: one line, shortened, without any markup."""
    line = one_line(text)
    return html.escape(line[:max_chars] + "…" if len(line) > max_chars else line)
