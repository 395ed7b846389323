"""What libraries read from the environment when they are loaded, where the user has not said."""

import os

_DEFAULTS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    # Threads of torch that wait for one another at a layer's end spin for milliseconds, which is
    # the time of whoever else is at work: embedding 512 texts with two threads took 71 s on busy
    # cores and 31 s on calmer ones, with this 26 s and 7 to 11 s.
    "GOMP_SPINCOUNT": "1000",
}


def set_environment_defaults() -> None:
    """Sets them; call it before torch or the Hub's client is imported."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
