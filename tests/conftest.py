"""What every run of the tests has for itself, and what it says at its end."""

import os
import shutil
import tempfile

import pytest

#: Each takes a worker minutes; `--dist loadfile` hands files out in the order of the items.
LONGEST_FILES = (
    "tests/builder/test_demo_loop.py",
    "tests/readme/",
    "tests/trainer/encoders/test_families_resume.py",
    "tests/publish/test_commands.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Sets what libraries read once: threads, the Hub client's patience, a place for modules.

    Each worker computes on one core, for threads of several processes that wait for one another on
    two cores spin more than they compute.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch or numpy is imported
    # The Hub's client reads this once: its own patience, minutes, comes before that of `publish`.
    os.environ["HF_XET_CLIENT_RETRY_MAX_ATTEMPTS"] = "1"
    place = tempfile.mkdtemp(prefix="polyscene-modules-")
    os.environ["HF_MODULES_CACHE"] = place  # read when transformers is imported
    config.add_cleanup(lambda: shutil.rmtree(place, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST_FILES))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line where browser tests were skipped; with several workers a skip says nothing else."""
    skipped = terminalreporter.getreports("skipped")
    num_skipped = sum("browser" in report.keywords for report in skipped)
    if num_skipped:
        terminalreporter.write_line(
            f"{num_skipped} browser tests were skipped, for there is no Chromium here. "
            "Get it with `apt-get install chromium`, then run the tests again."
        )
