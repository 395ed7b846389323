"""A line of a batch's results: whose it is and how it went, whatever else it holds."""

import re
from dataclasses import dataclass

from builder.generate.answers import read_json

#: Found without parsing, so that a paid line can be stored before it is read. Inside a reply's
#: text the quotes would stand behind backslashes.
_KEY = re.compile(rb'"custom_id"\s*:\s*"([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One result.

    Args:
        key: Key of its request.
        status: HTTP status; 0 where the request was never answered, as when a batch expires.
            A line that is no JSON counts as answered: it was paid.
    """

    key: str
    status: int


def read_line(line: bytes) -> BatchLine | None:
    """Reads a line; None where it is nobody's result. Never raises."""
    found = _KEY.search(line)
    if found is None:
        return None
    return BatchLine(found[1].decode(), _status(line))


def _status(line: bytes) -> int:
    result = read_json(line)
    if not isinstance(result, dict):
        return 200
    response = result.get("response")
    if not isinstance(response, dict) or "body" not in response:
        return 0
    status = response.get("status_code", 200)
    return status if isinstance(status, int) else 200
