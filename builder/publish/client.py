"""Settings of the official client, for the whole process."""

import os
from typing import Any

_DEFAULT_TIMEOUT_S = 120.0
#: Of hf_xet, which reads it once.
_XET_ATTEMPTS = "2"


def limit_waiting(timeout_s: float = _DEFAULT_TIMEOUT_S) -> None:
    """Sets a timeout for every request of the official client, which has none by default.

    Also turns off its progress bars, unless the environment asks for them, and shortens the
    uploader's own patience: up to six minutes without a word, where `publish` tries again and
    says so.

    Args:
        timeout_s: Longest wait for the next byte, in seconds; a slow upload does not count.
    """
    os.environ.setdefault("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", _XET_ATTEMPTS)

    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils import disable_progress_bars, httpx
    from huggingface_hub.utils._http import default_client_factory

    def client() -> Any:
        made = default_client_factory()
        made.timeout = httpx.Timeout(timeout_s, connect=min(15.0, timeout_s))
        return made

    set_client_factory(client)
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        disable_progress_bars()
