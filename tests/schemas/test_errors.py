"""The tree of errors that `schemas.errors` draws is the tree there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import schemas.errors

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "command_line", "builder", "curation_app", "trainer")
_LINE = re.compile(r"^( *)(\w+)(?: \((\w+)\))?(?:  |$)")

#: Package, class, and the class it is derived from.
Entry = tuple[str, str, str]


def modules() -> dict[str, ast.Module]:
    """Every module of the four packages by its dotted name, parsed and not imported."""
    found: dict[str, ast.Module] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


class ErrorClasses:
    """Classes that derive from `PolysceneError`, found by reading source."""

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        self.bases: dict[tuple[str, str], list[str]] = {}
        self.imports: dict[tuple[str, str], tuple[str, str]] = {}
        for module, tree in trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    names = [base.id for base in node.bases if isinstance(base, ast.Name)]
                    self.bases[module, node.name] = names
                elif isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        given = (node.module or "", alias.name)
                        self.imports[module, alias.asname or alias.name] = given

    def parent(self, module: str, name: str) -> str | None:
        """The base by which a class is a `PolysceneError`, or None."""
        for base in self.bases[module, name]:
            home, found = self.home(module, base)
            if found == "PolysceneError":
                return found
            if (home, found) in self.bases and self.parent(home, found):
                return found
        return None

    def home(self, module: str, name: str) -> tuple[str, str]:
        """Where a class that a module knows by this name is defined."""
        while (module, name) not in self.bases and (module, name) in self.imports:
            module, name = self.imports[module, name]
        return module, name

    def entries(self) -> Iterator[Entry]:
        for module, name in self.bases:
            parent = self.parent(module, name)
            if parent is not None:
                yield module.partition(".")[0], name, parent


def drawn() -> Iterator[Entry]:
    """What the docstring draws: a line each, indented under its parent, by package."""
    package, parents = "", ["PolysceneError"]
    for line in (schemas.errors.__doc__ or "").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        depth, name, named_parent = len(found[1]) // 2, found[2], found[3]
        if depth == 1 and name in PACKAGES:
            package, parents = name, ["PolysceneError"]
        elif depth >= 2 and package:
            del parents[depth - 1 :]
            yield package, name, named_parent or parents[-1]
            parents.append(name)


def test_the_docstring_draws_every_error_once_under_its_parent() -> None:
    there = sorted(ErrorClasses(modules()).entries())
    shown = sorted(drawn())
    missing, gone = sorted(set(there) - set(shown)), sorted(set(shown) - set(there))
    assert shown == there, (
        f"schemas/errors.py's docstring lacks {missing}; it draws {gone}, which there are not. "
        "Write (package, error, parent) into its tree."
    )


def test_an_error_is_found_under_another_name() -> None:
    trees = {
        "builder.one": ast.parse("from schemas.errors import PolysceneError as Base"),
        "builder.two": ast.parse(
            "from builder.one import Base\nclass A(Base): ...\nclass C(Exception): ..."
        ),
        "trainer.three": ast.parse("from builder.two import A as Renamed\nclass B(Renamed): ..."),
    }
    assert list(ErrorClasses(trees).entries()) == [
        ("builder", "A", "PolysceneError"),
        ("trainer", "B", "A"),
    ]
