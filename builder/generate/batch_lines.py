"""Lines of a batch's results: whose each is, and what it brought."""

import re
from collections import Counter
from dataclasses import dataclass, field

import orjson

from builder.endpoint.client import Endpoint
from builder.endpoint.completion import read_json
from builder.endpoint.error_body import find_error, words_of
from builder.endpoint.health import FailureKind, SendError

#: Found without parsing, so that a paid line can be stored before it is read. Inside a reply's
#: text the quotes would stand behind backslashes.
_KEY = re.compile(rb'"custom_id"\s*:\s*"([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One result.

    Args:
        key: Key of its request.
        status: HTTP status, that of an error inside a 200 among them; 0 where the request was
            never answered, as when a batch expires. A line that is no JSON counts as answered: it
            was paid.
        words: Of an error, in short.
    """

    key: str
    status: int
    words: str = ""

    def error(self, endpoint: Endpoint) -> SendError:
        """What its status means; never a reply, for none was paid."""
        if self.status == 0:
            return SendError("trouble", "no_answer", self.words or "no answer")
        body = orjson.dumps({"error": {"message": self.words}})
        return endpoint.status_error(self.status, body)


def read_line(line: bytes) -> BatchLine | None:
    """Reads a line; None where it is nobody's result. Never raises."""
    found = _KEY.search(line)
    if found is None:
        return None
    key = found[1].decode()
    result = read_json(line)
    if not isinstance(result, dict):
        return BatchLine(key, 200)
    response = result.get("response")
    if not isinstance(response, dict) or "body" not in response:
        return BatchLine(key, 0, words_of(result.get("error")))
    status = response.get("status_code", 200)
    if status == 200 or not isinstance(status, int):
        inside = find_error(response["body"])
        return (
            BatchLine(key, 200) if inside is None else BatchLine(key, inside.status, inside.words)
        )
    return BatchLine(key, status, words_of(response["body"]))


@dataclass(slots=True)
class BatchCounts:
    """What the lines of one batch brought.

    Args:
        num_answered: Lines with a reply.
        num_lowered: Refused for a format that the next batch goes without.
        errors: Others that say something of the endpoint, by what is to be done about them.
        last: The latest error of each kind.
    """

    num_answered: int = 0
    num_lowered: int = 0
    errors: Counter[FailureKind] = field(default_factory=Counter)
    last: dict[FailureKind, SendError] = field(default_factory=dict)

    def add(self, error: SendError) -> None:
        """Counts an error."""
        self.errors[error.kind] += 1
        self.last[error.kind] = error

    def account_trouble(self) -> SendError | None:
        """The error of a batch of which no line was answered, where asking again is no use yet.

        A batch that only met trouble may be sent again.
        """
        if self.num_answered or self.num_lowered:
            return None
        for kind in ("fatal", "forbidden", "pushback", "refused"):
            if self.errors[kind]:
                return self.last[kind]
        return None
