"""The directory a demo runs in: whether it is one, which recipe it was begun with, what may go."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from builder.config import BuildConfig, load_config, save_config
from builder.demo.context import DemoError
from builder.disk import lock_file, sync

#: Marks a directory as a demo's; written before anything else is.
MARKER = "demo.json"
RECIPE_NAME = "recipe.yaml"
TIMES_NAME = "stages.json"
#: Everything else a demo makes. `--fresh` removes these names and nothing besides.
_MADE = (
    "summary.json",
    "summary.json.part",
    "training",
    "versions",
    "heads",
    "model",
    "workspace",
    "hub",
    "hf_home",
    "cold_cache",
    "rollback",
    "audit",
    "audit.begun",
    "audit_items.jsonl",
    "audit_decisions.jsonl",
    "decisions.jsonl",
    "planted.jsonl",
    "hub.log",
    "teacher.log",
    f"{TIMES_NAME}.part",
    TIMES_NAME,
    f"{RECIPE_NAME}.part",
    RECIPE_NAME,
)


@dataclass(frozen=True, slots=True)
class DemoDirectory:
    """A directory that bears the demo's marker; `open_directory` makes or checks one."""

    root: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second demo out; the lock goes with the process.

        Raises:
            DemoError: Another demo runs here.
        """
        taken = DemoError(
            f"{self.root}: another demo runs here. Wait for it, or name another --root."
        )
        with lock_file(self.root / MARKER, taken):
            yield

    def clear(self) -> None:
        """Removes what a demo made; files of others stay where they are."""
        for name in _MADE:
            path = self.root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def choose_recipe(self, wanted: BuildConfig) -> Path:
        """Keeps the recipe this demo is made with, and makes sure that it stays the one.

        Returns:
            Its file.

        Raises:
            DemoError: The demo was begun with another recipe, which is left as it is.
        """
        path = self.root / RECIPE_NAME
        if not path.exists():
            part = path.with_name(f"{RECIPE_NAME}.part")
            save_config(wanted, part)
            part.replace(path)
            return path
        begun, now = load_config(path).model_dump(), wanted.model_dump()
        changed = [name for name in now if begun[name] != now[name]]
        if changed:
            raise DemoError(
                f"{self.root}: begun with another recipe ({_difference(begun, now, changed)}). "
                "Begin anew with --fresh, or name another --root."
            )
        return path


def open_directory(root: Path) -> DemoDirectory:
    """Opens a demo's directory; a new or an empty one becomes one.

    Raises:
        DemoError: The directory holds something else, or cannot be made.
    """
    marker = root / MARKER
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            if any(root.iterdir()):
                raise DemoError(
                    f"{root}: exists and is not a demo directory. "
                    "Name another --root, or remove it."
                )
            marker.write_bytes(orjson.dumps({"made_by": "python -m builder demo"}) + b"\n")
            sync(marker)
            sync(root)
    except FileExistsError as exc:
        raise DemoError(f"{root}: a file, not a directory. Name another --root.") from exc
    except OSError as exc:
        raise DemoError(f"{root}: {exc.strerror}. Name another --root.") from exc
    return DemoDirectory(root)


def _difference(begun: dict[str, object], now: dict[str, object], changed: list[str]) -> str:
    """What changed: "`num_samples` 200, now 300" where that is short, else the names."""
    if changed == ["num_samples"]:
        return f"`num_samples` {begun['num_samples']}, now {now['num_samples']}"
    return "other " + ", ".join(f"`{name}`" for name in changed)
