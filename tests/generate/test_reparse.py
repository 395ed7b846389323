"""Replies are read anew by job, after edits of templates too, and what was not read is counted."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

import builder.prompts.render as render
from builder.config import BuildConfig
from builder.generate.progress import Summary
from builder.generate.reparse import run_reparse
from builder.ledger.ledger import Ledger, LedgerError
from builder.workspace import Workspace
from schemas.sample import Provenance
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

FAULTS = {"not_json": 0.2, "refusal": 0.1, "truncated": 0.1, "prose": 0.2}
JUDGE = {"model": "second", "prices": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}}


@pytest.fixture
def edited_templates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Edits a copy of the templates and renders from that copy from then on."""

    def forget() -> None:
        render._templates.cache_clear()

    def edit() -> None:
        directory = tmp_path / "templates"
        shutil.copytree(render.TEMPLATES_DIR, directory)
        for name in ("parts/role.j2", "judge.j2", "user.j2", "image_label.j2", "correction.j2"):
            path = directory / name
            path.write_text("Edited. " + path.read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.setattr(render.Templates.__init__, "__defaults__", (None, directory))
        forget()

    yield edit
    monkeypatch.undo()
    forget()


def reparse(workspace: Workspace, config: BuildConfig) -> tuple[Summary, str]:
    said = io.StringIO()
    return run_reparse(workspace, config, Console(file=said, width=500)), said.getvalue()


def stricter(config: BuildConfig) -> BuildConfig:
    checks = config.checks.model_copy(update={"min_scores": {"diversity": 4}})
    return config.model_copy(update={"checks": checks})


def checks_of(workspace: Workspace) -> str | None:
    with Ledger(workspace.ledger_path) as ledger:
        return ledger.meta("checks")


def test_after_edits_of_the_templates_every_reply_is_found_and_rows_stay_as_they_were(
    serve: Serve, new_workspace: NewWorkspace, edited_templates: Callable[[], None]
) -> None:
    server, workspace = serve(Faults(rates=FAULTS)), new_workspace()
    config = make_config(80, judge=JUDGE, max_rounds=2)
    first = build(workspace, config)
    before, num_requests = kept_rows(workspace), server.num_requests
    hashes = {Provenance.model_validate_json(row).prompt_hash for _, row in before}
    edited_templates()
    again, said = reparse(workspace, config)
    assert kept_rows(workspace) == before
    assert again.dropped == first.dropped
    assert server.num_requests == num_requests
    assert f"{first.num_jobs} jobs in, {first.num_jobs} replies read" in said
    # provenance names the prompt that the reply was given to, not today's
    with Ledger(workspace.ledger_path) as ledger:
        stored = {row[0] for row in ledger.db.execute("SELECT hash FROM prompt")}
    assert hashes <= stored


def test_new_checks_run_over_replies_to_edited_templates(
    serve: Serve, new_workspace: NewWorkspace, edited_templates: Callable[[], None]
) -> None:
    serve()
    workspace, config = new_workspace(), make_config(40)
    build(workspace, config)
    edited_templates()
    summary, _ = reparse(workspace, stricter(config))
    assert summary.dropped == {"low_diversity": 40}
    assert reparse(workspace, config)[0].num_kept == 40


def test_a_ledger_without_any_reply_is_refused_and_its_checks_stay_on_record(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace, config = new_workspace(), make_config(30)
    build(workspace, config)
    rows, checks = kept_rows(workspace), checks_of(workspace)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute("DELETE FROM reply")
    with pytest.raises(LedgerError, match=r"none of its 30 jobs has a reply.*backup"):
        reparse(workspace, stricter(config))
    assert (kept_rows(workspace), checks_of(workspace)) == (rows, checks)
    build(workspace, config)


def test_jobs_whose_reply_is_not_found_are_counted_and_checked_by_the_texts_on_record(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace, config = new_workspace(), make_config(30)
    build(workspace, config)
    before = kept_rows(workspace)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute("DELETE FROM reply WHERE request_id <= 4")
    summary, said = reparse(workspace, stricter(config))
    assert summary.dropped == {"low_diversity": 30}
    assert "30 jobs in, 26 replies read, 4 without a reply in the ledger checked by" in said
    assert checks_of(workspace) == stricter(config).checks.model_dump_json()
    reparse(workspace, config)
    assert kept_rows(workspace) == before


def test_jobs_dropped_without_any_reply_are_told_apart(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(Faults(rates={"502": 0.2}))
    workspace = new_workspace()
    pace = {"max_in_flight": 8, "max_attempts": 2, "breaker_window_s": 30}
    config = make_config(40, max_rounds=1, pace=pace)
    num_failed = build(workspace, config).dropped["http_502"]
    summary, said = reparse(workspace, stricter(config))
    assert f"{num_failed} dropped before that never had a reply" in said
    assert summary.dropped == {"low_diversity": 40 - num_failed, "http_502": num_failed}
    assert checks_of(workspace) == stricter(config).checks.model_dump_json()


def test_a_reparse_that_was_stopped_has_to_end_before_a_build_goes_on(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace, config = new_workspace(), make_config(30)
    build(workspace, config)
    with Ledger(workspace.ledger_path) as ledger:
        ledger.set_meta("reparsing", config.checks.model_dump_json())  # as a kill leaves it
    with pytest.raises(LedgerError, match=r"`reparse` was stopped.*Run it again"):
        build(workspace, config)
    assert reparse(workspace, config)[0].num_kept == 30
    assert build(workspace, config).num_kept == 30


def test_a_judgement_of_other_texts_is_not_taken(
    serve: Serve, new_workspace: NewWorkspace, edited_templates: Callable[[], None]
) -> None:
    serve()
    workspace, config = new_workspace(), make_config(20, judge=JUDGE)
    build(workspace, config)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute(
            "UPDATE request SET parameters = parameters || ' other' WHERE kind = 'judge' AND id % 2"
        )
    edited_templates()
    reparse(workspace, config)
    judged = [Provenance.model_validate_json(row).judge for _, row in kept_rows(workspace)]
    assert 0 < sum(entry is None for entry in judged) < 20


def test_rows_of_a_pulled_version_are_checked_by_the_texts_on_record(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace, config = new_workspace(), make_config(30)
    build(workspace, config)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        # as `pull` leaves a ledger: rows and provenance, and nothing of how they came about
        for table in ("reply", "request", "usage", "round", "meta"):
            ledger.db.execute(f"DELETE FROM {table}")
        ledger.db.execute("UPDATE outcome SET round = -1, job_id = 'pulled-' || sample_id")
    summary, said = reparse(workspace, stricter(config))
    assert summary.dropped == {"low_diversity": 30}
    assert "30 without a reply in the ledger" in said
    assert reparse(workspace, config)[0].num_kept == 30


def test_replies_that_an_earlier_version_could_not_read_are_recovered(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(rates={"thought": 1.0})), new_workspace()
    config = make_config(12)
    build(workspace, config)
    whole = kept_rows(workspace)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        # As versions left them that knew no thought without a beginning.
        ledger.db.execute(
            "UPDATE outcome SET reason = 'not_json', sample_id = NULL, sample = NULL, "
            "provenance = NULL"
        )
    summary, _ = reparse(workspace, config)
    assert (summary.num_kept, server.num_requests) == (12, 12)
    assert kept_rows(workspace) == whole
