"""Optional dependencies: a command checks for them before its work and says how to install them."""

from importlib import import_module

from schemas.errors import PolysceneError


def install_extra(extra: str) -> str:
    """How to install an extra; from the checkout, as the distribution is not on PyPI."""
    return f"From polyscene's checkout: pip install -e '.[{extra}]'"


class MissingExtraError(PolysceneError):
    """A package that comes with an extra cannot be imported.

    Args:
        extra: Name of the extra in `pyproject.toml`.
        package: What could not be imported.
        cause: The exception of the import.
    """

    def __init__(self, extra: str, package: str, cause: Exception) -> None:
        self.extra = extra
        self.package = package
        is_absent = isinstance(cause, ModuleNotFoundError) and cause.name == package
        what = "is not installed" if is_absent else f"cannot be loaded ({cause})"
        super().__init__(f"{package} {what}, and this command needs it. {install_extra(extra)}")


def require(extra: str, *packages: str) -> None:
    """Imports packages of an extra, so that a missing one is noticed before the work starts.

    Raises:
        MissingExtraError: One is not installed, or does not load here.
    """
    for package in packages:
        try:
            import_module(package)
        except (ImportError, OSError) as exc:  # OSError: a shared library
            raise MissingExtraError(extra, package, exc) from exc
