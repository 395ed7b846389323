"""Money is spent on what is missing, and every dollar that may have been billed is counted."""

import io
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from builder import cli
from builder.config import BuildConfig
from builder.cost.budget import BudgetReached
from builder.cost.spent_words import cost_words, possibly_billed
from builder.generate.progress import Summary
from builder.generate.session import BuildOptions, run_build
from builder.ledger.ledger import Ledger
from builder.ledger.tables import RoundRecord, Spent
from builder.plan.order import PLAN_VERSION
from builder.workspace import Workspace
from tests.generate import conftest
from tests.generate.conftest import PLANTED_KEY, build, kept_rows
from tests.generate.fault_server import Faults, FaultServer
from tests.generate.processes import run_child_build, start_process
from tests.generate.replies import LANGUAGES

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

A_SAMPLE_USD = (1900 + 2 * 900) / 1e6
IN_FLIGHT = 6
PACE = {"max_in_flight": IN_FLIGHT, "initial_in_flight": IN_FLIGHT, "breaker_window_s": 1}


def make_config(num_samples: int = 60, **fields: object) -> BuildConfig:
    """The usual configuration, with time for a busy machine to answer."""
    config = conftest.make_config(num_samples, **fields)
    if "teacher" in fields:
        return config
    return config.model_copy(
        update={"teacher": config.teacher.model_copy(update={"timeout_s": 60.0})}
    )


def spent_of(workspace: Workspace) -> Spent:
    with Ledger(workspace.ledger_path) as ledger:
        return ledger.spent()


def said_by(workspace: Workspace, config: BuildConfig, **options: object) -> tuple[Summary, str]:
    console = Console(file=(said := io.StringIO()), width=300)
    summary = run_build(workspace, config, BuildOptions(**options), console)  # type: ignore[arg-type]
    return summary, said.getvalue()


# --- in flight when a run was killed ---


def kill_in_flight(
    workspace: Workspace, server: FaultServer, config: BuildConfig, log: Path, wait_s: float = 0.0
) -> int:
    """Kills a build whose requests are all under way; returns how many there were."""
    before = server.num_requests
    content = config.model_dump(mode="json")
    arguments = (workspace.root, content, {}, log, server.url, PLANTED_KEY)
    child = start_process(run_child_build, *arguments)
    deadline = time.monotonic() + 30
    while server.num_requests < before + IN_FLIGHT:
        assert time.monotonic() < deadline
        assert child.is_alive()
        time.sleep(0.01)
    time.sleep(wait_s)
    child.kill()
    child.join()
    return server.num_requests - before


def test_requests_in_flight_at_a_kill_count_as_possibly_billed(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    config = make_config(24, pace=PACE)
    server, workspace = serve(Faults(latency_s=30)), new_workspace()
    num_killed = kill_in_flight(workspace, server, config, tmp_path / "log")
    spent = spent_of(workspace)
    assert (spent.num_killed, spent.cost_usd, spent.num_replies) == (num_killed, 0.0, 0)
    assert spent.killed_usd >= num_killed * A_SAMPLE_USD

    server = serve(Faults())
    with pytest.raises(BudgetReached, match=rf"for {num_killed} requests in flight when a run was"):
        build(workspace, config, max_usd=spent.killed_usd + 0.5 * A_SAMPLE_USD)
    assert server.num_requests == 0
    _, said = said_by(workspace, config)
    assert f"{num_killed} requests were in flight when a run was killed: up to $" in said
    assert len(kept_rows(workspace)) == 24
    after = spent_of(workspace)
    # Asked again and answered, their first sending still may have been billed.
    assert (after.num_killed, after.killed_usd) == (num_killed, pytest.approx(spent.killed_usd))
    assert after.num_requests == 24 + num_killed


def test_kill_after_kill_adds_up(serve: Serve, new_workspace: NewWorkspace, tmp_path: Path) -> None:
    config = make_config(24, pace=PACE)
    server, workspace = serve(Faults(latency_s=30)), new_workspace()
    num_killed = sum(kill_in_flight(workspace, server, config, tmp_path / "log") for _ in range(2))
    assert spent_of(workspace).num_killed == num_killed
    server.faults.latency_s = 0
    build(workspace, config)
    assert spent_of(workspace).num_killed == num_killed


def test_a_failure_noted_before_a_kill_is_not_in_flight(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve(Faults(always="429_after")), new_workspace()
    pace = {**PACE, "breaker_window_s": 60}
    kill_in_flight(workspace, server, make_config(24, pace=pace), tmp_path / "log", wait_s=1.5)
    with Ledger(workspace.ledger_path) as ledger:
        failed = "SELECT sum(state = 'failed'), count(*) FROM request"
        num_failed, num_requests = ledger.db.execute(failed).fetchone()
        assert num_failed > 0
        assert ledger.spent().num_killed == num_requests - num_failed


def test_calls_cut_off_count_in_later_runs_too(serve: Serve, new_workspace: NewWorkspace) -> None:
    teacher = {**make_config().teacher.model_dump(mode="json"), "timeout_s": 0.5}
    server, workspace = serve(Faults(rates={"timeout": 0.5})), new_workspace()
    _, said = said_by(workspace, make_config(12, teacher=teacher, pace=PACE))
    spent = spent_of(workspace)
    assert 0 < spent.num_unanswered == server.num_requests - spent.num_replies
    assert f"{spent.num_unanswered} requests were cut off after they were sent" in said
    with pytest.raises(BudgetReached, match="calls without an answer"):
        build(workspace, make_config(24, teacher=teacher), max_usd=spent.cost_usd + 1e-6)


# --- what nobody bills, what nobody knows the price of ---


def test_nothing_is_booked_for_answers_that_nobody_bills(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(Faults(rates={"not_a_completion": 0.5}, counts_tokens=False))
    workspace = new_workspace()
    summary = build(workspace, make_config(12, max_rounds=1), max_usd=5)
    assert summary.dropped["not_a_completion"] > 0
    assert summary.spent.num_estimated == summary.num_kept


def test_an_unknown_price_is_never_nothing(serve: Serve, new_workspace: NewWorkspace) -> None:
    serve()
    unknown = {"model": "nobody-sells-this"}
    workspace = new_workspace()
    summary, said = said_by(workspace, make_config(12, teacher=unknown))
    assert "price unknown" in said
    assert "$" not in said
    assert summary.spent.num_unpriced == 12
    # With a price, what came before is priced too, and counts.
    priced = {**unknown, "prices": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}}
    with pytest.raises(BudgetReached, match=r"has spent \$0\.0444"):
        build(workspace, make_config(24, teacher=priced), max_usd=12 * A_SAMPLE_USD)
    _, said = said_by(new_workspace("judged"), make_config(12, judge=unknown))
    assert re.search(r"\$0\.0\d+ and 12 replies at an unknown price", said)


def test_every_part_of_the_cost_is_said_apart() -> None:
    spent = Spent(20, 12, 10, 10, 1.5, 2, 0.25, 3, num_killed=4, killed_usd=0.5)
    assert cost_words(spent, has_price=True) == (
        "$1.5000 ($0.2500 of it estimated, for 2 replies without `usage`) and 3 replies at an "
        "unknown price"
    )
    [sentence] = possibly_billed(spent)
    assert sentence.startswith("4 requests were in flight when a run was killed: up to $0.5000")
    unknown = Spent(20, 12, 10, 10, 0.0, 0, 0.0, 12, num_unanswered=1)
    assert cost_words(unknown, has_price=False) == "price unknown"
    assert "$" not in possibly_billed(unknown)[0]


# --- what is hopeless, what is missing ---


def counts_of(workspace: Workspace, language: str) -> tuple[int, int]:
    """(kept, dropped) of a language."""
    with Ledger(workspace.ledger_path) as ledger:
        return ledger.language_counts()[language]


@pytest.mark.parametrize("num_samples", [24, 60, 240])
def test_a_language_that_only_fails_is_given_up(
    serve: Serve, new_workspace: NewWorkspace, num_samples: int
) -> None:
    serve(Faults(languages={"ja": 1.0}))
    workspace = new_workspace()
    config = make_config(num_samples)
    summary, said = said_by(workspace, config)
    kept, dropped = counts_of(workspace, "ja")  # those kept are without a text
    share = num_samples // len(LANGUAGES)
    assert dropped == max(share - kept, 12)
    assert summary.num_kept == num_samples - share + kept
    assert summary.shortfall is not None
    assert summary.shortfall in said
    assert f"short of the shares: {share - kept} of {num_samples} samples are missing" in said
    assert re.search(r"Given up.*ja (retrieval|vqa|classification) \S+ \(\d missing, wrong_", said)
    num_sent = summary.spent.num_requests
    assert build(workspace, config).spent.num_requests == num_sent
    patient = build(workspace, config.model_copy(update={"max_slot_failures": 15}))
    assert counts_of(workspace, "ja") == (kept, max(share - kept, 15))
    assert patient.shortfall is not None


def test_a_slot_that_only_fails_is_given_up_alone(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    class Picky(FaultServer):
        """Refuses one cell in one language."""

        def _fault(self, asked, is_correction):  # type: ignore[no-untyped-def]
            is_bad = asked.language == "tr" and asked.cell.task_type == "vqa"
            return "refusal" if is_bad else None

    serve(Faults(), Picky)
    workspace = new_workspace()
    config = make_config(60, languages={"tr": 1, "fr": 1})
    summary = build(workspace, config)
    assert summary.shortfall is not None
    assert re.search(r"tr vqa IT->T \(7 missing, refusal 12\)", summary.shortfall)
    assert "The model refuses" in summary.shortfall
    assert counts_of(workspace, "tr") == (23, 12)
    assert counts_of(workspace, "fr") == (30, 0)


def test_a_slot_that_is_seldom_good_is_filled_where_that_is_cheap(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    class Hesitant(FaultServer):
        """Refuses one cell in one language thirteen times."""

        num_refused = 0

        def _fault(self, asked, is_correction):  # type: ignore[no-untyped-def]
            if asked.language != "tr" or asked.cell.modality != "T->IT" or self.num_refused == 13:
                return None
            self.num_refused += 1
            return "refusal"

    serve(Faults(), Hesitant)
    config = make_config(280, languages={"tr": 4, "fr": 96}, max_rounds=4)
    summary = build(new_workspace(), config)
    assert summary.shortfall is None
    assert summary.dropped == {"refusal": 13}  # its rounds of a few jobs are no rounds of the four


def exit_code_of(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """What a command ends with, run as the program's entry point runs it."""
    monkeypatch.setattr(sys, "argv", ["polyscene-build", *words])
    try:
        cli.main()
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code
    return 0


def test_a_build_that_ends_short_has_its_own_exit_code(
    serve: Serve,
    new_workspace: NewWorkspace,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server = serve(Faults(languages={"ja": 1.0}))
    workspace = new_workspace()
    path = workspace.root / "build.yaml"
    content = make_config(24).model_dump(mode="json")
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    command = ("build", "-c", str(path), "-w", str(workspace.root))
    assert exit_code_of(*command, monkeypatch=monkeypatch) == 3
    assert "short of the shares: " in " ".join(capfd.readouterr().err.split())
    server.faults.languages = {}
    content |= {"max_slot_failures": 20, "max_rounds": 12}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert exit_code_of(*command, monkeypatch=monkeypatch) == 0


def test_an_outage_is_no_drop_rate_and_uses_up_no_round(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    workspace = new_workspace()
    config = make_config(24, pace={**PACE, "max_attempts": 1}, max_rounds=4)
    server = serve(Faults())
    with Ledger(workspace.ledger_path, create=True) as ledger:
        ledger.set_meta("plan_version", str(PLAN_VERSION))
        for number in range(4):  # in which nothing was answered
            add_round_without_replies(ledger, config, number)
    summary = build(workspace, config)
    assert summary.num_kept == 24
    assert server.num_requests == 24


def add_round_without_replies(ledger: Ledger, config: BuildConfig, number: int) -> None:
    targets = config.targets
    ledger.add_round(RoundRecord(number, "0" * 64, 12, {}, {}, closed=True, targets=targets))
    with ledger.transaction():
        ledger.db.executemany(
            "INSERT INTO outcome (job_id, round, idx, task_type, modality, language, reason) "
            "VALUES (?, ?, ?, 'vqa', 'IT->T', 'en', 'http_502')",
            [(f"{number}-{index}", number, index) for index in range(12)],
        )


@pytest.mark.parametrize(("before", "after"), [(60, 61), (60, 67), (100, 110)])
def test_growing_by_a_few_asks_for_those_few(
    serve: Serve, new_workspace: NewWorkspace, before: int, after: int
) -> None:
    server, workspace = serve(), new_workspace()
    build(workspace, make_config(before))
    rows = {row for row, _ in kept_rows(workspace)}
    summary = build(workspace, make_config(after))
    assert server.num_requests == after
    assert "surplus" not in summary.dropped
    assert summary.shortfall is None
    assert rows < {row for row, _ in kept_rows(workspace)}
    assert build(workspace, make_config(after)).spent.num_requests == after
    # Back and forth costs nothing more.
    build(workspace, make_config(before))
    build(workspace, make_config(after))
    assert server.num_requests == after
