"""Who is reviewing: a name kept in a cookie, asked for at first."""

from collections.abc import Mapping
from urllib.parse import unquote

REVIEWER_COOKIE = "polyscene_reviewer"
_MAX_NAME_CHARS = 80


def reviewer_name(name: str) -> str | None:
    """The name as it is stored, or None where it is empty, too long or holds control characters."""
    name = " ".join(name.split())
    return name if name and len(name) <= _MAX_NAME_CHARS and name.isprintable() else None


def reviewer_of(cookies: Mapping[str, str], default: str | None) -> str | None:
    """The reviewer a request's cookies name, else the default; None where nobody is named."""
    return reviewer_name(unquote(cookies.get(REVIEWER_COOKIE, ""))) or default
