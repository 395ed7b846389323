"""Runs the README: every command and every piece of code in it, in order, as a new user would.

A block is run when the comment above it says so: `<!-- run -->`, or `<!-- file: NAME -->` for a
file to be written. What a reader would put in (endpoint, photos, account) is put in here: the
lexicon teacher, some pictograms as files, an account on the embedded Hub.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.config import load_config

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?:<!-- (?P<kind>run|file|make)(?:: (?P<name>[\w.-]+))? -->\n)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)```",
    re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    kind: str | None
    name: str | None
    language: str
    text: str


def blocks() -> list[Block]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [Block(**match.groupdict()) for match in _BLOCK.finditer(text)]


def test_every_block_is_run_or_written() -> None:
    found = blocks()
    expected = {"own-model", "review", "audit", "people", "hub", "versions", "notebook", "load"}
    assert {*expected, "train"} <= {block.name for block in found}
    for block in found:
        assert block.kind or block.language == "text", f"not run by a test:\n{block.text}"


def test_the_recipe_is_a_configuration(tmp_path: Path) -> None:
    """It is not run, for its addresses are not there."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "fields.yaml").touch()
    (recipe,) = [block.text for block in blocks() if block.name == "recipe.yaml"]
    (tmp_path / "recipe.yaml").write_text(recipe, encoding="utf-8")
    assert [teacher.name for teacher in load_config(tmp_path / "recipe.yaml").teachers] == [
        *("near", "far", "swahili")
    ]


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (\w+)", readme))
    assert {"install", "demo", "test", "app"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_set_up_by_pip_is_what_make_does() -> None:
    """Word for word: the constraints, the extras, and torch from the index of CPU builds."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (by_pip,) = [block.text for block in blocks() if block.text.startswith("pip install")]
    words = by_pip.split()
    for part in ("-c constraints.txt", "-e '.[app,train]'"):
        assert part in by_pip and part in makefile
    (by_make,) = [block.text for block in blocks() if "make install" in block.text]
    assert words[words.index("--extra-index-url") + 1] == by_make.partition("=")[2].split()[0]


def test_the_owner_is_the_same_in_every_line() -> None:
    """The user of the Hub, the configuration, and every command that names the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (user,) = re.findall(r"builder hub .*--user (\S+)$", text, re.MULTILINE)
    owners = set(re.findall(r"(\S+)/street-scenes", text.replace('"', " ").replace("`", " ")))
    assert owners == {user}


def test_every_exit_code_is_in_one_table() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    codes = [int(code) for code in re.findall(r"^\| (\d+) \| ", text, re.MULTILINE)]
    assert codes == [0, 1, 2, 3, 130]


def test_everything_linked_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_tree_is_the_tree() -> None:
    (tree,) = [block.text for block in blocks() if block.language == "text"]
    named = re.findall(r"^(\s*)(\S+?)/?(?:\s{2,}|$)", tree, re.MULTILINE)
    top = ""
    for indent, name in named:
        if not indent:
            top = name
        path = ROOT / name if not indent else ROOT / top / name
        assert path.exists(), f"{path} stands in the README's tree and is not there"


@dataclass
class Place:
    """A new user's directory and environment."""

    directory: Path
    environment: dict[str, str]
    running: ExitStack = field(default_factory=ExitStack)

    def start_hub(self, line: str) -> None:
        """Starts the Hub on a free port, for the rest of the README; sets what it prints."""
        hub = subprocess.Popen(
            ["bash", "-c", f"exec {line} --port 0"],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.callback(hub.communicate, timeout=30)
        self.running.callback(hub.terminate)
        assert hub.stdout is not None
        wanted = {"HF_ENDPOINT", "HF_TOKEN"}
        for printed in hub.stdout:
            name, _, value = printed.strip().removeprefix("export ").partition("=")
            if name in wanted:
                self.environment[name] = value
            if wanted <= self.environment.keys():
                return
        pytest.fail(f"{line} did not print {wanted - self.environment.keys()}")

    def run(self, script: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def run_block(self, block: Block) -> None:
        if block.kind == "file":
            assert block.name
            (self.directory / block.name).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            (self.directory / "example.py").write_text(block.text, encoding="utf-8")
            self.run("python example.py")
        else:
            for line in block.text.strip().splitlines():
                if " hub " in line:
                    self.start_hub(line)
                elif " serve " in line:
                    self.run_server(line)
                elif line.startswith("export "):
                    name, _, value = line.removeprefix("export ").partition("=")
                    self.environment.setdefault(name, value)
                else:
                    self.run(line)

    def run_server(self, line: str) -> None:
        """Starts a serving command on a free port, waits until it prints its URL, and ends it."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line} --port 0"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        timer = threading.Timer(90, process.kill)
        timer.start()
        try:
            said = ""
            for text in process.stdout:
                said += text
                if "http://127.0.0.1:" in text:
                    break
            else:
                pytest.fail(f"{line} printed no URL:\n{said}")
            process.terminate()
            started = time.monotonic()
            process.communicate(timeout=30)
            assert time.monotonic() - started < 30
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("readme")
    write_photos(directory / "photos", num_photos=240)
    shims = directory / "bin"
    shims.mkdir()
    (shims / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (shims / "python").chmod(0o755)
    from builder.lexicon_teacher import running_teacher

    with running_teacher(planted=directory / "planted.jsonl") as endpoint, ExitStack() as running:
        yield Place(
            directory,
            {
                "PATH": f"{shims}:{os.environ['PATH']}",
                "HOME": str(directory / "home"),
                "PYTHONPATH": str(ROOT),
                "OPENAI_BASE_URL": endpoint,
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "GRADIO_ANALYTICS_ENABLED": "False",
                "LANG": "C.UTF-8",
                "OMP_NUM_THREADS": "1",  # threads that wait for one another starve beside others
            },
            running,
        )


def write_photos(directory: Path, num_photos: int) -> None:
    """Some pictograms as a folder of WebP files, pairs of styles together."""
    from builder.images.pictograms import load_pictograms

    directory.mkdir()
    for pictogram in load_pictograms()[:: len(load_pictograms()) * 2 // num_photos]:
        for image in pictogram.images:
            name = f"{pictogram.concept}-{image.style}.webp"
            (directory / name).write_bytes(image.content)


def test_the_readme_runs_as_written(place: Place) -> None:
    for block in blocks():
        if block.kind in {"run", "file"}:
            place.run_block(block)
