"""Which version of the program runs."""

from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTION = "polyscene"


def program_version() -> str:
    """Version of this program, such as "0.1.0"; "unknown" where it runs without installation."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
