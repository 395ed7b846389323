"""`python -m builder` without a process of its own, which would take seconds to import."""

import io
import logging
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

import pytest

from builder.cli import main


def builder(*words: object) -> CompletedProcess[str]:
    """Runs the command line through its entry point; what it printed, and its exit code."""
    argv = ["builder", *map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    handlers = list(logging.getLogger().handlers)
    with (
        patch.object(sys, "argv", argv),
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(),
        pytest.raises(SystemExit) as left,
    ):
        main()
    logging.getLogger().handlers[:] = handlers  # a handler would keep writing to `err`
    code = left.value.code
    assert isinstance(code, int)
    return CompletedProcess(argv, code, out.getvalue(), err.getvalue())
