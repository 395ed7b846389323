"""Ends every command line: an error a user can meet becomes one line on stderr and an exit code."""

import codecs
import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from schemas.errors import PolysceneError

#: Environment variable that shows the traceback of an error that is otherwise one line.
TRACEBACK_VARIABLE = "POLYSCENE_TRACEBACK"
INTERRUPTED_CODE = 130  # 128 + SIGINT, as in shells
_MAX_PLACES = 2
_MAX_SHOWN_CHARS = 100

_FULL = "Free some space or choose another location, then run the same command again."
_FORBIDDEN = "Give this user access, or choose another location."
_REMEDIES: dict[int | None, str] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.EISDIR: "Name a file.",
    errno.ENOTDIR: "Name a directory.",
    errno.EEXIST: "Choose another location.",
    errno.ENOENT: "Check the name.",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.EMFILE: "Raise the limit of this shell with `ulimit -n`.",
    errno.EADDRINUSE: "Stop the process that listens there, or choose another --port.",
    errno.ECONNREFUSED: "Start the server that should answer there, or give another address.",
}
_OTHER = f"Set {TRACEBACK_VARIABLE}=1 to see where it happened."


def run(
    command: Callable[[], object], *, stopped: str = "Stopped. Run the same command again."
) -> NoReturn:
    """Runs a command line and leaves the process.

    It exits with 0 done, 1 failed, 2 wrongly used, 130 stopped, or the code of the error.

    An error that a user can meet is printed as one line, `error: where: what.
    Remedy.`; a closed pipe is not an error. Anything else is our mistake and
    keeps its traceback.

    Args:
        command: Parses `sys.argv` and does what it says.
        stopped: What to say when the user stopped it.
    """
    _leave_ascii()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # any script in any locale
    code = _exit_code(command, stopped)
    problem = _stdout_problem()
    if problem is not None:
        if code == 0 and not isinstance(problem, BrokenPipeError):
            _failed(os_error_line(problem))
        _discard_stdout()
    sys.exit(code or int(problem is not None))


def _leave_ascii() -> None:
    """Starts the program again in UTF-8 mode where the locale knows ASCII alone.

    There the names of files and the words of the command line would come in
    pieces that no dataset can hold. Python does the same by itself, unless
    PYTHONUTF8=0 or the like keeps it from doing so.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "ascii" and sys.executable:
        os.execv(sys.executable, [sys.orig_argv[0], "-X", "utf8", *sys.orig_argv[1:]])


def _exit_code(command: Callable[[], object], stopped: str) -> int:
    try:
        command()
    except SystemExit as exc:
        # Typer turns Ctrl-C into an exit and prints nothing.
        if exc.code == INTERRUPTED_CODE:
            _say(stopped)
        if isinstance(exc.code, str):
            return _failed(exc.code)
        return exc.code or 0
    except KeyboardInterrupt:
        _say(stopped)
        return INTERRUPTED_CODE
    except PolysceneError as exc:
        return _failed(str(exc), exc.exit_code)
    except UnicodeEncodeError as exc:
        if exc.encoding == "utf-8":
            raise
        return _failed(
            f"{exc.object[:_MAX_SHOWN_CHARS]!a}: the locale's encoding {exc.encoding} has no bytes "
            "for this. Set a UTF-8 locale, such as LC_ALL=C.UTF-8."
        )
    except OSError as exc:
        problem = _stdout_problem() if exc.filename is None else None
        return 1 if isinstance(problem, BrokenPipeError) else _failed(os_error_line(problem or exc))
    return 0


def _failed(line: str, code: int = 1) -> int:
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exc()
    _say(f"error: {line}")
    return code


def os_error_line(exc: OSError) -> str:
    """Where, what and what to do, for an error of the operating system.

    A failed write to an open file names no file; the path that the innermost
    function on the stack was given is shown instead.
    """
    # Copying and renaming name two files; the second is the one that could not be written.
    named = exc.filename2 or exc.filename
    places = [_shown(named)] if named is not None else _paths_on_the_way(exc)
    what = exc.strerror or str(exc) or type(exc).__name__
    if exc.errno == errno.EEXIST and places and Path(places[0]).is_file():
        what = "a file exists where a directory is needed"
    where = f"{' or '.join(places)}: " if places else ""
    return f"{where}{what.rstrip('.')}. {_remedy(exc)}"


def _paths_on_the_way(exc: OSError) -> list[str]:
    for frame, _ in reversed(list(traceback.walk_tb(exc.__traceback__))):
        code = frame.f_code
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        values = [frame.f_locals.get(name) for name in arguments]
        paths = [str(value) for value in values if isinstance(value, Path)]
        if paths:
            return paths[:_MAX_PLACES]
    return []


def _shown(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else str(name)


def _remedy(exc: OSError) -> str:
    return _REMEDIES.get(exc.errno, _OTHER)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _stdout_problem() -> OSError | None:
    """The error that keeps standard output from being written, if any."""
    try:
        sys.stdout.flush()
    except OSError as exc:
        exc.filename = "standard output"
        return exc
    return None


def _discard_stdout() -> None:
    """Sends what is still buffered to the null device, so that the process ends quietly."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
