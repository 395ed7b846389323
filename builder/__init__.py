"""Makes dataset versions: plans, generates, checks, balances, releases and publishes.

From Python, the four commands are four functions with typed results:

    from builder import build, plan, publish, release

`plan`, `release` and `publish` are rooms of this package too, so each of the
three names is a module that can be called; nothing is loaded before it is used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from builder.api import build as build
    from builder.api import plan as plan
    from builder.api import publish as publish
    from builder.api import release as release

    __version__: str

#: Rooms that share their name with a function of `builder.api`.
_CALLABLE_ROOMS = ("plan", "publish", "release")

__all__ = ["__version__", "build", "plan", "publish", "release"]


class _CallableRoom(ModuleType):
    """A room that runs the function of its name when it is called."""

    @property
    def __wrapped__(self) -> Any:
        return getattr(import_module("builder.api"), self.__name__.rpartition(".")[2])

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.__wrapped__(*arguments, **options)


class _Package(ModuleType):
    """Makes rooms callable as the import system hands them over."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _CALLABLE_ROOMS and isinstance(value, ModuleType):
            value.__class__ = _CallableRoom
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name == "build":
        return import_module("builder.api").build
    if name == "__version__":
        return import_module("command_line.version").program_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _Package
