"""Who is reviewing where there are no accounts: a name kept in a cookie, asked for at first."""

from collections.abc import Mapping
from urllib.parse import unquote

from curation_app.work.people import clean_name

REVIEWER_COOKIE = "polyscene_reviewer"


def reviewer_of(cookies: Mapping[str, str], default: str | None) -> str | None:
    """The reviewer a request's cookies name, else the default; None where nobody is named."""
    return clean_name(unquote(cookies.get(REVIEWER_COOKIE, ""))) or default
