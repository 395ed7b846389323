"""The commands as a user types them, against the Hub, in processes of their own."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.publish.card_address import warn_about_card
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from tests.hub_server import WRITE_TOKEN, RunningHub, client_environment


def run(hub_url: str, home: Path, *words: str, token: str | None = WRITE_TOKEN, xet: bool = True):
    return subprocess.run(
        [sys.executable, "-m", "builder", *words],
        env=client_environment(hub_url, home, token, xet=xet),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_from_release_to_pull(
    hub: RunningHub, releases: Workspace, home: Path, tmp_path: Path
) -> None:
    """One story, so that a process is started once a step."""
    place = ("--workspace", str(releases.root))
    for version, xet in (("0.1.0", True), ("0.2.0", False)):
        done = run(*(hub.url, home, "publish", "demo/story", "--version", version, *place), xet=xet)
        assert done.returncode == 0, done.stderr
        assert f"published version {version}" in done.stdout
        assert WRITE_TOKEN not in done.stdout + done.stderr
    done = run(hub.url, home, "publish", "demo/story", *place)
    assert "already published; nothing was uploaded" in done.stdout
    done = run(hub.url, home, "diff", "demo/story@0.1.0", "0.2.0", *place)
    assert "0 rows added, 1 removed, 1 changed (query_text 1)" in done.stdout, done.stderr
    done = run(hub.url, home, "rollback", "demo/story", "0.1.0", "-w", str(tmp_path / "none"))
    assert "version 0.2.1 restores 0.1.0" in done.stdout, done.stderr
    assert "python -m builder pull demo/story@0.2.1 --workspace" in done.stdout
    done = run(hub.url, home, "versions", "demo/story")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["0.1.0", "0.2.0", "0.2.1"]
    assert "restores 0.1.0" in done.stdout
    done = run(hub.url, home, "pull", "demo/story@0.2.1", "-w", str(tmp_path / "pulled"))
    assert done.returncode == 0, done.stderr
    done = run(hub.url, home, "release", "--bump", "minor", "-w", str(tmp_path / "pulled"))
    assert "release 0.3.0 made" in done.stdout, done.stderr
    assert "warning" not in done.stderr
    assert (
        "Against 0.2.1 (published in demo/story): 0 rows added, 0 removed, 0 changed" in done.stdout
    )
    done = run(
        *(hub.url, home, "export", str(tmp_path / "out"), "--format", "mme5"),
        *("-w", str(tmp_path / "pulled")),
    )
    assert done.returncode == 0 and (tmp_path / "out" / "images").is_dir(), done.stderr


def on_a_terminal(hub_url: str, home: Path, answer: str, *words: str) -> tuple[int, str]:
    """Runs a command with somebody at the keyboard; returns its exit code and what they saw."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "builder", *words],
        env=client_environment(hub_url, home),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        seen = b""
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    return process.returncode, seen.decode()


def test_a_card_of_another_address_is_asked_about_before_anything_is_sent(
    hub: RunningHub, releases: Workspace, home: Path
) -> None:
    words = ("publish", "demo/astray", "--version", "0.1.0", "-w", str(releases.root))
    num_before = len(hub.requests)
    code, seen = on_a_terminal(hub.url, home, "n", *words)
    assert code == 1 and "set `repo_id: demo/astray` under `release:`" in " ".join(seen.split())
    assert len(hub.requests) == num_before
    code, seen = on_a_terminal(hub.url, home, "y", *words)
    assert code == 0 and "published version 0.1.0" in seen


def test_a_script_is_warned_of_a_card_of_another_address_and_goes_on(
    hub: RunningHub, releases: Workspace, home: Path
) -> None:
    words = ("publish", "demo/script", "--version", "0.1.0", "-w", str(releases.root))
    done = run(hub.url, home, *words)
    assert done.returncode == 0 and done.stderr.startswith("warning: the card of version 0.1.0")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "names no repository to load from"),
        ("demo/other", "loads from demo/other"),
        ("Demo/Mine", None),
    ],
)
def test_only_a_card_of_another_address_is_warned_of(
    releases: Workspace, named: str | None, said: str | None
) -> None:
    manifest = read_manifest(releases.releases_dir / "0.1.0")
    manifest.policy["repo_id"] = named
    warning = warn_about_card(manifest, "demo/mine", Path("ws"))
    assert (warning is None) is (said is None)
    assert said is None or (said in str(warning) and "`repo_id: demo/mine`" in str(warning))


def test_a_release_after_a_rollback_says_what_it_brings_back(
    hub: RunningHub, releases: Workspace, home: Path, tmp_path: Path
) -> None:
    shutil.copytree(releases.root, tmp_path / "ws")
    place = ("--workspace", str(tmp_path / "ws"))
    for version in ("0.1.0", "0.2.0"):
        done = run(hub.url, home, "publish", "demo/again", "--version", version, *place)
        assert done.returncode == 0, done.stderr
    done = run(hub.url, home, "rollback", "demo/again", "0.1.0", *place)
    assert "also added to the workspace" in done.stdout, done.stderr
    done = run(hub.url, home, "release", "--bump", "minor", *place)
    assert "release 0.3.0 made" in done.stdout
    assert "0.2.1 restores 0.1.0, but this workspace still" in done.stderr
    assert "pull 0.2.1 into a new workspace" in done.stderr


def test_who_is_behind_rebases_and_publishes(
    hub: RunningHub, releases: Workspace, home: Path, tmp_path: Path
) -> None:
    shutil.copytree(releases.root, tmp_path / "ada")
    ada, bob = ("-w", str(tmp_path / "ada")), ("-w", str(tmp_path / "bob"))
    name = "demo/two"
    done = run(hub.url, home, "publish", name, "--version", "0.1.0", *ada)
    assert done.returncode == 0, done.stderr
    done = run(hub.url, home, "pull", f"{name}@0.1.0", *bob)
    assert done.returncode == 0, done.stderr
    assert run(hub.url, home, "publish", name, "--version", "0.2.0", *ada).returncode == 0
    done = run(hub.url, home, "release", "--bump", "minor", *bob)
    assert done.returncode == 0 and "`publish` will refuse this release" in done.stderr
    done = run(hub.url, home, "publish", name, *bob)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 2
    assert "1 row removed there" in done.stderr and "2 review events by 1 reviewer" in done.stderr
    done = run(hub.url, home, "rebase", "--dry-run", *bob)
    assert f"{name} 0.2.0: would bring in 0 rows and 2 review events" in done.stdout, done.stderr
    done = run(hub.url, home, "rebase", "--onto", name, *bob)
    assert "put aside, since they do not continue it: 0.2.0" in done.stdout, done.stderr
    done = run(hub.url, home, "rebase", *bob)
    assert "already continues demo/two 0.2.0" in done.stdout, done.stderr
    done = run(hub.url, home, "release", "--bump", "minor", *bob)
    assert f"Against 0.2.0 (published in {name}): 0 rows added, 0 removed" in done.stdout
    done = run(hub.url, home, "publish", name, "--create-pr", *bob)
    assert f"{name}: opened pull request 1 with version 0.3.0" in done.stdout, done.stderr
    done = run(hub.url, home, "publish", name, "--branch", "next", *bob)
    assert f"{name}, branch next: published version 0.3.0" in done.stdout, done.stderr
    done = run(hub.url, home, "prune", "--keep", "1", *bob)
    assert "releases: 0.1.0, 0.2.0.superseded-" in done.stdout and "freed" in done.stdout
    assert "kept 0.2.0: the predecessor of 0.3.0" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish", "demo/x", "--version", "9.9.9"), "no release 9.9.9"),
        (("release",), "Give either --version"),
        (("publish", "demo/x", "--branch", "b", "--create-pr"), "Give either --branch"),
        (("rebase", "--onto", "demo"), '"demo" names no owner'),
        (("release", "--version", "one"), '"one" is not a version'),
        (("diff", "0.1.0", "demo/x"), '"demo/x" is not a version'),
    ],
)
def test_mistakes_are_one_line(
    hub: RunningHub, releases: Workspace, home: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(hub.url, home, *words, "--workspace", str(releases.root))
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_a_token_the_remedy_is_named(
    hub: RunningHub, releases: Workspace, home: Path, tmp_path: Path
) -> None:
    done = run(
        *(hub.url, tmp_path / "empty", "publish", "demo/nobody"),
        *("--workspace", str(releases.root)),
        token=None,
    )
    assert done.returncode == 1 and "hf auth login" in done.stderr
    assert "Traceback" not in done.stderr, os.linesep.join(done.stderr.splitlines()[-3:])
