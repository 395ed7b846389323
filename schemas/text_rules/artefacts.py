"""Checks for what a model leaves in a text by accident: escapes, tokens, refusals, the prompt."""

import re
from functools import cache
from importlib.resources import files

from schemas.characters import unwanted_character
from schemas.text_rules.candidate import Candidate

_ESCAPE = re.compile(
    r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\U[0-9a-fA-F]{8}|\\[nrt](?![a-z])|\\\""
    r"|&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,7}|#[xX][0-9a-fA-F]{2,6});"
)
_TOKEN = re.compile(
    r"<\|[^|<>]{1,40}\|>"
    r"|</?(?:image|img|video|s|pad|eos|bos|start_of_turn|end_of_turn|think)\b[^<>]*>"
    r"|\[/?(?:image|img|inst|pad|cls|sep|mask|eos)(?:[ _]?\d+)?\]",
    re.IGNORECASE,
)
#: A tag of HTML or XML, a Markdown link, bold text, a heading or a fence of code. A list's dashes
#: and a single asterisk are plain writing.
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]{0,15}(?:\s[^<>]{0,300})?/?>|<!--")
#: A closing tag of BBCode, a command of LaTeX, a variable or block of a template.
_COMMAND = re.compile(r"\[/[a-zA-Z]{1,10}\]|\\[a-zA-Z]{2,20}\{|\{\{[^{}\n]{1,100}\}\}|\{%")
_MARKDOWN = re.compile(
    r"\*\*(?=\S)[^*\n]{1,400}\*\*|\]\((?:https?://|/|#)[^()\s]{0,300}\)|^ {0,3}(?:#{1,6} |```)",
    re.MULTILINE,
)
#: Placeholders of the reply skeleton and phrases only the prompt uses.
_ECHO_ANYWHERE = (
    "hard negative",
    "<english>",
    "<in the job's language>",
    "positive document",
    "positive text",
    "negative text",
    "misleading label",
    "task idea:",
    "query length:",
    "modality combination",
)
_ECHO_IN_TEXTS = re.compile(
    r"\b(?:positive|negative|query|attached) images?\b|\bimage [123]\b|\bjob's language\b",
    re.IGNORECASE,
)


def malformed_text(candidate: Candidate) -> str | None:
    """Characters that no text needs and that break storage, display or tokenisers."""
    return "malformed_text" if any(map(unwanted_character, candidate.all_texts)) else None


def escaped_text(candidate: Candidate) -> str | None:
    r"""`\u0e01` or `&amp;` instead of the letter: seen under constrained decoding (vLLM #16363)."""
    for text in candidate.all_texts:
        if ("\\" in text or "&" in text) and _ESCAPE.search(text):
            return "escaped_text"
    return None


def image_placeholder(candidate: Candidate) -> str | None:
    """`<|image_1|>` and other special tokens; published mmE5 has some without an image."""
    for text in candidate.all_texts:
        if ("<" in text or "[" in text) and _TOKEN.search(text):
            return "image_placeholder"
    return None


def markup(candidate: Candidate) -> str | None:
    """HTML, Markdown and the like: a page would render it, an embedding model reads it."""
    for text in candidate.all_texts:
        if ("[/" in text or "{" in text) and _COMMAND.search(text):
            return "markup"
        if "<" in text and _TAG.search(text):
            return "markup"
        if ("*" in text or "#" in text or "`" in text or "](" in text) and _MARKDOWN.search(text):
            return "markup"
    return None


def prompt_echo(candidate: Candidate) -> str | None:
    """Words of the prompt appear in the data."""
    lowered = candidate.lowered
    if any(phrase in lowered for phrase in _ECHO_ANYWHERE):
        return "prompt_echo"
    if "image" in lowered or "job's" in lowered:
        for _, text in candidate.texts:
            if _ECHO_IN_TEXTS.search(text):
                return "prompt_echo"
    return None


def refusal(candidate: Candidate) -> str | None:
    """The model declines in the text itself."""
    return "refusal" if any(map(_refusals().match, candidate.all_texts)) else None


@cache
def _refusals() -> re.Pattern[str]:
    lines = files(__package__ or __name__).joinpath("refusals.txt").read_text("utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return re.compile(rf"\W*(?:{'|'.join(patterns)})", re.IGNORECASE)
