"""The package rule of the design: who may import whom, and where the packages load from."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "builder", "curation_app", "trainer")
ALLOWED = {
    "schemas": {"schemas"},
    "builder": {"builder", "schemas"},
    "curation_app": {"curation_app", "schemas"},
    "trainer": {"trainer", "schemas"},
}


def imported_packages(file: Path) -> set[str]:
    """Top-level names a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import; write it absolute"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_the_design_allows(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        ours = imported_packages(file) & set(PACKAGES)
        assert ours <= ALLOWED[package], f"{file} imports {sorted(ours - ALLOWED[package])}"


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_load_from_this_repository(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)


@pytest.mark.parametrize(
    ("package", "heavy"),
    [
        ("schemas", {"torch", "gradio", "duckdb", "datasets", "openai"}),
        ("builder.cli", {"torch", "gradio", "transformers"}),
        ("curation_app", {"torch", "gradio"}),
        ("trainer", {"torch", "gradio", "transformers"}),
    ],
)
def test_light_imports_stay_light(package: str, heavy: set[str]) -> None:
    probe = f"import sys, {package}; print(*{{m.split('.')[0] for m in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert not heavy & set(loaded)


def test_every_room_says_what_it_is_for() -> None:
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
            assert docstring, f"{file} has no docstring"


def test_no_module_of_the_contract_opts_out_of_strict_types() -> None:
    for file in (ROOT / "schemas").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for opt_out in ("pyright: basic", "pyright: standard", "type: ignore\n"):
            assert opt_out not in text, f"{file} opts out of strict types with `{opt_out.strip()}`"
