"""Check names of namespaces, repositories, branches, tags and files."""

import re

from builder.local_hub.errors import bad_request

_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REF_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COMMIT_OID = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESERVED = frozenset(("api", "datasets", "lfs", "models", "spaces", "xet"))  # first path segments
MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255


def is_namespace(name: str) -> bool:
    """Whether `name` can be a user or an organisation, the first half of a repository's id."""
    return _is_word(name) and name.lower() not in _RESERVED


def is_commit_oid(text: str) -> bool:
    """Whether `text` looks like a full commit hash."""
    return _COMMIT_OID.fullmatch(text) is not None


def is_sha256(text: object) -> bool:
    """Whether `text` is a SHA-256 in lower-case hex, the only form used as a file name."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def check_repo_name(name: object) -> str:
    """Checks a repository name.

    Raises:
        HubError: 400 with the rule that the name breaks.
    """
    if not isinstance(name, str) or not _is_word(name) or name.endswith((".git", ".ipynb")):
        raise bad_request(
            "Invalid repo name: use up to 96 letters, digits, '.', '_', '-', "
            "no '--' or '..', not ending in '.git'"
        )
    return name


def check_ref_name(name: object) -> str:
    """A branch or tag name, by the rules of `git check-ref-format`.

    Raises:
        HubError: 400 for a forbidden name, and for one that reads as a commit hash.
    """
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= 255
        or _REF_FORBIDDEN.search(name)
        or name.startswith(("/", "-", "refs/"))
        or name.endswith(("/", ".", ".lock"))
        or name in ("@", "HEAD")
        or any(part.startswith(".") for part in name.split("/"))
        or is_commit_oid(name)
    ):
        raise bad_request(f"Invalid branch or tag name: {name!r}")
    return name


def check_path(path: object) -> str:
    """A file or folder path inside a repository, `/` between the segments.

    Raises:
        HubError: 400 for a path that is absolute, leaves the repository, has a
            segment that file systems do not keep (`.`, `..`, empty) or `.git`, or
            contains a backslash or a control character.
    """
    if not isinstance(path, str) or not path:
        raise bad_request("Invalid path: it must be a non-empty string")
    segments = path.split("/")
    if (
        "\\" in path
        or _CONTROL.search(path)
        or any(segment in ("", ".", "..") or segment.lower() == ".git" for segment in segments)
        or not _fits(path, segments)
    ):
        raise bad_request(f"Invalid path in repository: {path[:200]!r}")
    return path


def _is_word(name: str) -> bool:
    return _WORD.fullmatch(name) is not None and ".." not in name and "--" not in name


def _fits(path: str, segments: list[str]) -> bool:
    try:
        return len(path.encode()) <= MAX_PATH_BYTES and all(
            len(segment.encode()) <= MAX_SEGMENT_BYTES for segment in segments
        )
    except UnicodeEncodeError:  # a lone surrogate out of JSON
        return False
