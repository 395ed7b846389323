"""Browser tests that are skipped say so, with several workers too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BROWSER_TESTS = "tests/curation_app/review_page/test_images.py"


def test_without_chromium_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    pytest.importorskip("playwright", reason="browser tests need playwright")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", BROWSER_TESTS, "-n", "2"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout
    told = [line for line in done.stdout.splitlines() if "Chromium" in line]
    assert len(told) == 1
    assert re.match(r"\d+ browser tests were skipped", told[0])
    assert "apt-get install chromium" in told[0]
