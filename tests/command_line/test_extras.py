from pathlib import Path

import pytest

from command_line.extras import MissingExtraError, require


def test_a_package_that_is_absent_is_named_with_its_extra() -> None:
    require("train", "json", "pathlib")
    with pytest.raises(MissingExtraError) as missing:
        require("train", "json", "no_such_package_here")
    assert missing.value.extra == "train"
    assert str(missing.value) == (
        "no_such_package_here is not installed, and this command needs it. "
        "From polyscene's checkout: pip install -e '.[train]'"
    )


def test_a_package_that_does_not_load_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "without_its_library.py").write_text(
        "raise OSError('libthere.so.1: cannot open shared object file')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"cannot be loaded \(libthere\.so\.1: cannot"):
        require("app", "without_its_library")
