"""What every run of the tests says at its end."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line where browser tests were skipped; with several workers a skip says nothing else."""
    skipped = terminalreporter.getreports("skipped")
    num_skipped = sum("browser" in report.keywords for report in skipped)
    if num_skipped:
        terminalreporter.write_line(
            f"{num_skipped} browser tests were skipped, for there is no Chromium here. "
            "Get it with `apt-get install chromium`, then run the tests again."
        )
