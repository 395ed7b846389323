"""Copies the code that an exported model needs beside its weights."""

import importlib.util
import re
from pathlib import Path

_IMPORT = re.compile(r"^from (trainer\.portable|schemas)\.(\w+) import", re.MULTILINE)


def copy_portable(module: str, directory: Path) -> None:
    """Writes a module, and what it imports of ours, as flat files that import one another."""
    todo, done = [module], set[str]()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        spec = importlib.util.find_spec(name)
        assert spec and spec.origin, name
        code = Path(spec.origin).read_text(encoding="utf-8")
        todo += [f"{package}.{last}" for package, last in _IMPORT.findall(code)]
        code = _IMPORT.sub(r"from .\2 import", code)
        (directory / f"{name.rpartition('.')[2]}.py").write_text(code, encoding="utf-8")
