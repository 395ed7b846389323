"""Where a demo run happens, and how it runs its commands."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from builder.demo.processes import end_with_parent
from builder.demo.stage_times import StageTimes
from schemas.errors import PolysceneError

REPO_ID = "demo/pictograms"
CONFIG = "Retrieval"
RECIPE = Path(__file__).with_name("recipe.yaml")
FIRST, SECOND = "0.1.0", "0.2.0"
NUM_REVIEWED = 1_500
SEED = 0
#: Exit code of a build that ended short of its shares.
SHORT_CODE = 3
#: Heads have learnt most after half of their default number of steps, and the demo has minutes:
#: for English against all languages, then for the two versions. The exported model takes all.
HEADS_STEPS, VERSIONS_STEPS = 100, 50
#: The fewest that `compare` takes, for the same reason.
SEEDS = ("--seeds", "0,1,2")
#: LoRA on the text tower takes seconds a step on two cores: a few small steps from trained heads.
LORA_SETTINGS = (
    *("--steps", "12", "--batch-size", "64", "--learning-rate", "3e-4", "--eval-steps", "12"),
    "--no-hard-negatives",
)


class DemoError(PolysceneError):
    """A stage of the demo failed; names the command."""


@dataclass(slots=True)
class Demo:
    """Paths and settings of one run, and the seconds each stage took.

    Args:
        root: Holds everything it makes.
        console: Where headings go.
        recipe: Configuration of its build.
        times: Keeps what each stage took.
        steps: Options that shorten the training.
        environment: All of its commands' environment variables.
    """

    root: Path
    console: Console
    recipe: Path
    times: StageTimes
    steps: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def planted(self) -> Path:
        return self.root / "planted.jsonl"

    @property
    def store(self) -> Path:
        """Where the workspace's reviews are kept, so that releases and the app find them."""
        return self.workspace / "reviews.sqlite"

    @property
    def audit(self) -> Path:
        """The report of the first version's audit."""
        return self.root / "audit"

    @property
    def audit_report(self) -> Path | None:
        """Its JSON; None before it is written."""
        return next(iter(sorted(self.audit.glob("audit-*.json"))), None)

    @property
    def training(self) -> Path:
        """English rows against all languages."""
        return self.root / "training"

    @property
    def versions(self) -> Path:
        """The first version against the second."""
        return self.root / "versions"

    @property
    def heads(self) -> Path:
        """The model with trained heads over frozen towers."""
        return self.root / "heads"

    @property
    def model(self) -> Path:
        """The same with LoRA in its text tower."""
        return self.root / "model"

    @property
    def cold_cache(self) -> Path:
        """HF_HOME of a reader who has nothing yet; emptied before and after each use."""
        return self.root / "cold_cache"

    @contextmanager
    def stage(self, name: str, title: str, *, is_done_anew: bool = False) -> Iterator[None]:
        """Prints a heading and keeps the time; `is_done_anew` as in `StageTimes.measured`."""
        self.console.rule(f"[bold]{title}", align="left")
        with self.times.measured(name, is_done_anew=is_done_anew):
            yield

    def command(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
        """Shows and runs one command of ours; returns what it printed to stdout.

        A build may end a few samples short of its shares, as the teacher's mistakes have it.

        Raises:
            DemoError: It failed; its own message stands above.
        """
        words = [str(word) for word in arguments]
        self.console.print(f"[dim]$ python -m {' '.join(words)}", highlight=False, markup=True)
        done = subprocess.run(
            [sys.executable, "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**self.environment, **(environment or {})},
            check=False,
            # At once: what a stage has done is kept, and a rerun needs the locks it holds.
            preexec_fn=end_with_parent(signal.SIGKILL),
        )
        if done.returncode not in (0, SHORT_CODE):
            print(done.stdout, end="", file=sys.stderr)
            raise DemoError(
                f"`python -m {' '.join(words)}` ended with code {done.returncode}; what it said "
                "stands above. Run the demo again: finished stages are not repeated; --fresh "
                "begins anew."
            )
        return done.stdout

    def show(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """Runs a command and prints what it says."""
        print(self.command(*arguments, environment=environment), end="", flush=True)
