"""How command lines end: whatever a user can meet is one line on stderr and an exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from command_line.run import os_error_line
from tests.curation_app.tiny_release import tiny_samples, write_release

ROOT = Path(__file__).parents[2]
PACKAGES = ("builder", "curation_app", "trainer")
CODE = (*PACKAGES, "schemas", "command_line", "benchmarks", "scripts")

#: A command line of our own making, with what each test has it do.
_PROGRAM = """
import sys
from pathlib import Path
import typer
from command_line.run import run
from schemas.errors import PolysceneError

app = typer.Typer(pretty_exceptions_enable=False)

@app.command()
def work(place: Path) -> None:
{body}

run(app, stopped="Stopped. It goes on where it was.")
"""


def program(body: str, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    indented = "\n".join("    " + line for line in body.splitlines())
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(body=indented), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )


def only_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    assert done.returncode == code, done.stderr
    [line] = done.stderr.splitlines()
    return line


def test_our_errors_are_one_line() -> None:
    done = program('raise PolysceneError("here: wrong. Fix it.")', ".")
    assert only_line(done) == "error: here: wrong. Fix it."


def test_a_full_disk_names_the_file_that_was_being_written(tmp_path: Path) -> None:
    """Writing to an open file fails without a name; /dev/full is always full."""
    done = program('place.write_bytes(b"x")', "/dev/full")
    assert only_line(done).startswith("error: /dev/full: No space left on device. Free some space")
    nested = "def write(output: Path):\n    with open('/dev/full', 'w') as f: f.write('x')\n"
    done = program(nested + f"write(Path({str(tmp_path)!r}))", ".")
    assert only_line(done).startswith(f"error: {tmp_path}: No space left")


def test_a_file_too_large_is_told_like_a_full_disk(tmp_path: Path) -> None:
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
    done = program(limited + 'place.write_bytes(b"x" * 99)', tmp_path / "file")
    assert only_line(done).startswith(f"error: {tmp_path / 'file'}: File too large. Free some")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("place.mkdir(exist_ok=True)", "a file exists where a directory is needed. Choose another"),
        ("(place / 'inside').mkdir()", "inside: Not a directory. Name a directory"),
        ("place.parent.read_bytes()", "Is a directory. Name a file"),
        ("(place.parent / 'absent').read_bytes()", "absent: No such file or directory. Check"),
    ],
)
def test_files_and_directories_in_the_wrong_place_are_named(
    tmp_path: Path, body: str, said: str
) -> None:
    (tmp_path / "file").write_text("x")
    line = only_line(program(body, tmp_path / "file"))
    assert line.startswith(f"error: {tmp_path}") and said in line


def test_of_two_files_the_one_without_room_is_named() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "from", None, "to")
    assert os_error_line(full).startswith("to: No space left on device. Free")
    refused = PermissionError(errno.EACCES, "Permission denied", b"/secret")
    assert os_error_line(refused).startswith("/secret: Permission denied. Give this user")
    assert "POLYSCENE_TRACEBACK=1" in os_error_line(OSError("odd"))


def test_a_stopped_command_says_so_and_leaves_with_130() -> None:
    interrupted = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass"
    assert only_line(program(interrupted, "."), 130) == "Stopped. It goes on where it was."


def test_a_reader_that_goes_away_is_no_error() -> None:
    indented = "    for number in range(100_000): print(number)"
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(body=indented), "."],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


def test_a_reader_that_goes_before_the_end_is_no_error() -> None:
    """What was printed last is still in the buffer when the pipe is closed."""
    indented = "    sys.stdin.read()\n    print('last')"
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(body=indented), "."],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, b"")


def test_any_text_is_printed_in_any_locale() -> None:
    done = program("print('0.1.0 → 0.2.0 تفاحة')", ".", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("0.1.0 \\u2192 0.2.0 \\u062a")


def test_a_mistake_of_ours_keeps_its_traceback_and_others_show_theirs_when_asked() -> None:
    assert "Traceback" in program("1 / 0", ".").stderr
    done = program("place.read_bytes()", "/absent", POLYSCENE_TRACEBACK="1")
    assert "Traceback" in done.stderr and done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: /absent: No such file")


def command(package: str, *words: object, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", package, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def test_the_builder_names_the_file_in_its_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for words in (("hub", "--root", file, "--port", 0), ("demo", "--root", file)):
        line = only_line(command("builder", *words))
        assert line.startswith(f"error: {file}: ")
    done = command("builder", "versions", POLYSCENE_LOG="loud")
    assert only_line(done) == 'error: POLYSCENE_LOG: no level "LOUD". Set it to INFO or DEBUG.'


def test_the_builder_prints_a_difference_in_any_locale(tmp_path: Path) -> None:
    samples, images = tiny_samples()
    places = [tmp_path / version for version in ("0.1.0", "0.2.0")]
    for place in places:
        write_release(place, samples, images, place.name)
    done = command("builder", "diff", *places, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.1.0 \\u2192 0.2.0: 0 rows added")


def test_the_app_names_the_file_in_its_way(tmp_path: Path) -> None:
    store = tmp_path / "file" / "reviews.sqlite"
    store.parent.write_text("x")
    done = command("curation_app", "serve", "--dataset", tmp_path, "--store", store, "--port", 0)
    assert only_line(done).startswith(f"error: {store}: cannot make its folder")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_command_line_ends_this_way_when_its_output_has_no_room(package: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", package, "--help"],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert only_line(done).startswith("error: standard output: No space left on device. Free")


#: A locale that knows ASCII alone, and nothing that helps Python out of it.
_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_program_works_where_the_locale_knows_ascii_alone(package: str) -> None:
    done = command(package, "--version", **_ASCII)
    assert (done.returncode, done.stderr) == (0, "")


def test_files_and_words_in_any_script_are_read_and_written_in_any_locale(tmp_path: Path) -> None:
    """Names of files, words of the command line, and what is inside the files."""
    folder = tmp_path / "фото"
    folder.mkdir()
    Image.effect_noise((64, 64), 90).save(folder / "猫.png")
    config = tmp_path / "конфиг.yaml"
    config.write_text(
        "name: x\nrelease: {title: Кошки}\nimages: {embedder: descriptor}\n", encoding="utf-8"
    )
    words = (folder, "--license", "CC0-1.0", "--source", "фотки", "-w", tmp_path / "место")
    done = command("builder", "images", "add", *words, "-c", config, **_ASCII)
    assert done.returncode == 0, done.stderr
    listed = command("builder", "images", "list", "-w", tmp_path / "место", **_ASCII)
    assert "фотки/猫.png" in listed.stdout
    refused = command("trainer", "train", "--output", tmp_path, "-c", config, **_ASCII)
    assert f"error: {config}: " in refused.stderr and "`name`: unknown key" in refused.stderr


def test_what_a_locale_cannot_write_is_said() -> None:
    """In a locale of its own, which this machine may lack: the error alone is the same anywhere."""
    line = only_line(program("'猫🐈'.encode('euc_jp')", "."))
    assert "encoding euc_jp has no bytes for this. Set a UTF-8 locale" in line


def test_every_text_file_is_opened_with_its_encoding() -> None:
    """PLW1514 of ruff, which is a preview rule; a locale's own encoding would be used otherwise."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--preview", "--select", "PLW1514", *CODE],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
