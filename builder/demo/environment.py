"""The environment of the demo's commands: this machine alone, whatever the user's own points to."""

from collections.abc import Mapping
from pathlib import Path

#: Places of their own for caches and tokens, beside HF_HOME.
_ELSEWHERE = frozenset(
    {
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_DATASETS_CACHE",
        "HF_MODULES_CACHE",
        "HF_ASSETS_CACHE",
        "HF_XET_CACHE",
        "HF_TOKEN_PATH",
        "HUGGING_FACE_HUB_TOKEN",
    }
)


def demo_environment(
    inherited: Mapping[str, str], *, endpoint: str, hub: str, token: str, home: Path
) -> dict[str, str]:
    """The user's environment, less what would lead away from the two embedded servers.

    Proxies go, since nothing leaves the machine and a SOCKS one alone stops the
    clients; offline modes are off, since the embedded Hub is not the network.

    Args:
        inherited: The user's own.
        endpoint: Base URL of the lexicon teacher.
        hub: URL of the embedded Hub.
        token: An account there.
        home: Directory for the caches of the Hub's clients.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _ELSEWHERE and not name.lower().endswith("_proxy")
    }
    return kept | {
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "OPENAI_BASE_URL": endpoint,
        "OPENAI_API_KEY": "no-key-needed",
        "HF_ENDPOINT": hub,
        "HF_TOKEN": token,
        "HF_HOME": str(home.resolve()),
        "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_OFFLINE": "0",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",  # of a second each, and glued together in a log
    }
