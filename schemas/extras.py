"""Optional parts: a command asks for what it needs before its work, and says how to get it."""

from importlib import import_module

from schemas.errors import PolysceneError


def install_extra(extra: str) -> str:
    """How to install an extra; from the checkout, for this distribution is on no index."""
    return f"From polyscene's checkout: pip install -e '.[{extra}]'"


class MissingExtraError(PolysceneError):
    """A package that comes with an extra cannot be imported.

    Args:
        extra: Name of the extra in `pyproject.toml`.
        package: What was to be imported.
        cause: What the import said.
    """

    def __init__(self, extra: str, package: str, cause: Exception) -> None:
        self.extra = extra
        self.package = package
        is_absent = isinstance(cause, ModuleNotFoundError) and cause.name == package
        what = "is not installed" if is_absent else f"cannot be loaded ({cause})"
        super().__init__(f"{package} {what}, and this command needs it. {install_extra(extra)}")


def require(extra: str, *packages: str) -> None:
    """Imports packages of an extra, so that none is found missing when the work is done.

    Raises:
        MissingExtraError: One is not installed, or does not load here.
    """
    for package in packages:
        try:
            import_module(package)
        except (ImportError, OSError) as exc:  # OSError: a shared library
            raise MissingExtraError(extra, package, exc) from exc
