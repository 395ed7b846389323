"""What libraries read from the environment when they are loaded, where the user has not said."""

import os

_DEFAULTS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    # Threads of torch that wait for one another at a layer's end spin for milliseconds, which is
    # the time of whoever else is at work: with both cores busy, embedding texts took 71 s of
    # 512, and 26 s with this. On idle cores it makes no difference.
    "GOMP_SPINCOUNT": "1000",
}


def set_environment_defaults() -> None:
    """Sets them; call it before torch or the Hub's client is imported."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
