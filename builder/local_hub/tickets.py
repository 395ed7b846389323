"""Signed permissions for one upload, because LFS uploads carry no token."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from builder.local_hub.auth import read_private, write_private
from builder.local_hub.errors import forbidden

KEY_FILE = "signing-key"
LIFETIME_S = 24 * 3600

Action = Literal["object", "part", "complete", "xet"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Permission to send one content, a part of it, the completion of all parts, or chunks."""

    action: Action
    repo_row_id: int
    sha256: str = ""
    size: int = 0
    upload: str = ""
    part: int = 0
    num_parts: int = 0


class TicketOffice:
    """Issues and checks tickets with a key of this Hub."""

    def __init__(self, key: bytes, now_s: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock_s = now_s

    @property
    def office_id(self) -> str:
        """Identifies this Hub's storage, also after a restart."""
        return self._sign("office")[:12]

    def now_s(self) -> int:
        """The clock by which tickets expire, in seconds since 1970."""
        return int(self._clock_s())

    def issue(self, ticket: Ticket) -> str:
        """The ticket as text for a query string."""
        fields = {**asdict(ticket), "expires_s": self.now_s() + LIFETIME_S}
        payload = base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()
        return f"{payload}.{self._sign(payload)}"

    def check(self, text: str, action: Action) -> Ticket:
        """The ticket behind the text.

        Raises:
            HubError: 403 if it is forged, for another action, or expired.
        """
        payload, _, signature = text.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            raise forbidden("This upload address is not valid: ask for a new one")
        try:
            fields = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (binascii.Error, ValueError) as error:
            raise forbidden("This upload address is not valid: ask for a new one") from error
        if fields.pop("expires_s") < self.now_s() or fields["action"] != action:
            raise forbidden("This upload address has expired: ask for a new one")
        return Ticket(**fields)

    def _sign(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


def load_or_create_key(root: Path) -> bytes:
    """The signing key kept under `root`, so that uploads go on after a restart."""
    key = read_private(root / KEY_FILE)
    if key is None:
        key = secrets.token_bytes(32)
        write_private(root / KEY_FILE, key)
    return key
