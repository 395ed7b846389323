"""The package rule of the design: who may import whom, and where the packages load from."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "command_line", "builder", "curation_app", "trainer")
ALLOWED = {
    "schemas": {"schemas"},
    "command_line": {"command_line", "schemas"},
    "builder": {"builder", "command_line", "schemas"},
    "curation_app": {"curation_app", "command_line", "schemas"},
    "trainer": {"trainer", "command_line", "schemas"},
}

#: The rooms of each package from the lowest to the highest; a room may use those before it.
ROOMS = {
    package: rooms.split()
    for package, rooms in {
        "builder": "disk progress engines card_config checks_config gates_config teacher_config "
        "prompt_files images_config config job workspace images prompts checks plan ledger "
        "endpoint cost balance scoring generate "
        "samples release questions decontaminate publish local_hub lexicon_teacher demo api "
        "commands cli __main__",
        "curation_app": "store statistics data work pages web commands cli __main__",
        "trainer": "errors config progress distributed loss logs portable data checkpoint encoders "
        "optimizer grad_cache memory resolve batch_loss options embed train evaluate "
        "weak_spots export compare commands measuring cli __main__",
    }.items()
}
#: Of all code that is not tests, in any one room.
MAX_ROOM_SHARE = 0.12


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


def room_of(package: str, file: Path) -> str:
    """The folder or module right below the package that a file belongs to."""
    return file.relative_to(ROOT / package).parts[0].removesuffix(".py")


def imported_rooms(package: str, file: Path) -> set[str]:
    """Rooms of its own package that a file imports from, anywhere in it."""
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == package and rest:
                rooms.add(rest.split(".")[0])
    return rooms - {room_of(package, file)}


@pytest.mark.parametrize("package", ROOMS)
def test_no_import_runs_from_a_lower_room_up(package: str) -> None:
    height = {room: index for index, room in enumerate(ROOMS[package])}
    for file in sorted((ROOT / package).rglob("*.py")):
        room = room_of(package, file)
        if room == "__init__":
            continue
        assert room in height, f"{file}: give the room {room} its place in ROOMS"
        for used in imported_rooms(package, file):
            assert height[used] < height[room], f"{file}: {room} must not import {used}"


def test_no_room_is_a_house_of_its_own() -> None:
    sizes: dict[tuple[str, str], int] = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            room = package, room_of(package, file)
            sizes[room] = sizes.get(room, 0) + len(file.read_text(encoding="utf-8").splitlines())
    biggest = max(sizes, key=sizes.__getitem__)
    share = sizes[biggest] / sum(sizes.values())
    assert share <= MAX_ROOM_SHARE, f"{'/'.join(biggest)} holds {share:.0%} of the code"


#: Verbs that are no nouns; a docstring says what a function does ("Writes a shard."). Help texts of
#: commands are imperative, as everywhere on command lines.
_IMPERATIVES = re.compile(
    r"(Add|Ask|Build|Check|Choose|Close|Create|Delete|Draw|Find|Give|Keep|Load|Make|Merge|Open|"
    r"Parse|Pick|Read|Refuse|Remove|Render|Return|Send|Serve|Store|Take|Turn|Undo|Wait|Write|Yield)\b"
)


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_say_what_a_function_does(package: str) -> None:
    for file in sorted((ROOT / package).rglob("*.py")):
        if "commands" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node) or ""
                assert not _IMPERATIVES.match(docstring), f"{file}:{node.lineno}: {docstring}"


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_load_from_this_repository(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)


@pytest.mark.parametrize(
    ("package", "heavy"),
    [
        ("schemas", {"torch", "gradio", "duckdb", "datasets", "openai"}),
        ("builder", {"torch", "gradio", "duckdb", "datasets", "openai", "numpy", "pydantic"}),
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
