"""Settings of the official client, which hold for the whole process."""

from typing import Any

_DEFAULT_TIMEOUT_S = 120.0


def limit_waiting(timeout_s: float = _DEFAULT_TIMEOUT_S) -> None:
    """Gives every request of the official client a time limit, which by itself it has not.

    Its own progress bars are turned off as well, unless the environment asks for them.

    Args:
        timeout_s: Longest silence of the server, in seconds; a slow upload is not silence.
    """
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
