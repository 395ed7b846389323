"""Names of repositories on a Hub: OWNER/NAME, checked before anything is sent."""

import re

_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?", re.ASCII)
_FORM = "Write OWNER/NAME, where OWNER is a user or an organisation you may write to"


def repo_id_problem(repo_id: str) -> str | None:
    """Why a text is not the name of a repository and what to write instead; None where it is."""
    owner, slash, name = repo_id.partition("/")
    if not slash and _is_part(repo_id):
        return (
            f'"{repo_id}" names no owner. {_FORM}, such as me/{repo_id}; '
            "`hf auth whoami` says who you are."
        )
    if _is_part(owner) and _is_part(name):
        return None
    if "://" in repo_id:
        return f'"{repo_id}" is an address, not the name of a repository. {_FORM}.'
    return (
        f'"{repo_id}" is not the name of a repository. {_FORM}: letters, digits, ".", "_" and "-", '
        "up to 96 each."
    )


def _is_part(text: str) -> bool:
    return _PART.fullmatch(text) is not None and "--" not in text and ".." not in text
