"""Whose a workspace is: plans of other configurations and of earlier programs are told apart."""

from collections.abc import Callable

import pytest
from rich.console import Console

from builder.config import BuildConfig, save_config
from builder.cost.budget import BudgetReached
from builder.generate.reparse import run_reparse
from builder.ledger.ledger import Ledger, LedgerError
from builder.plan.order import PLAN_VERSION
from builder.workspace import Workspace
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]


def test_a_workspace_whose_jobs_an_earlier_version_planned_is_refused_and_left_as_it_is(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    build(workspace, make_config(24))
    before = kept_rows(workspace)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute("DELETE FROM meta WHERE name = 'plan_version'")
    with pytest.raises(LedgerError, match=r"by an earlier version.*builder release.*new workspace"):
        build(workspace, make_config(24))
    with pytest.raises(LedgerError, match="by an earlier version"):
        run_reparse(workspace, make_config(24), Console(quiet=True))
    assert server.num_requests == 24
    assert kept_rows(workspace) == before


ONE = {"fr": 1}


def stopped_at(workspace: Workspace, config: BuildConfig, num_requests: int) -> None:
    with pytest.raises(BudgetReached):
        build(workspace, config, max_requests=num_requests)


def test_more_samples_of_the_same_kind_are_added_to_those_there_are(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    build(workspace, make_config(40, languages=ONE))
    before = kept_rows(workspace)
    summary = build(workspace, make_config(90, languages=ONE))
    assert summary.num_kept == server.num_requests == 90
    assert summary.balance.is_met
    after = kept_rows(workspace)
    assert set(before) < set(after)
    run_reparse(workspace, make_config(90, languages=ONE), Console(quiet=True))
    assert kept_rows(workspace) == after


def test_a_round_under_way_ends_as_it_was_planned_before_more_is_planned(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, grown_early, grown_late = serve(), new_workspace("early"), new_workspace("late")
    stopped_at(grown_early, make_config(60, languages=ONE), 25)
    build(grown_early, make_config(100, languages=ONE))
    assert server.num_requests == 100
    build(grown_late, make_config(60, languages=ONE))
    build(grown_late, make_config(100, languages=ONE))
    assert kept_rows(grown_early) == kept_rows(grown_late)


def test_a_grown_build_gives_the_same_rows_however_often_it_is_stopped(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(Faults(rates={"not_json": 0.1, "refusal": 0.1, "truncated": 0.1}))
    first, grown = make_config(60), make_config(120, languages={"fr": 2, "de": 1, "en": 1})
    whole, stopped = new_workspace("whole"), new_workspace("stopped")
    build(whole, first)
    build(whole, grown)
    build(stopped, first)
    with Ledger(stopped.ledger_path) as ledger:
        sent = ledger.spent().num_requests
    for more in (7, 31, 50):
        stopped_at(stopped, grown, sent + more)
    build(stopped, grown)
    assert kept_rows(stopped) == kept_rows(whole)
    run_reparse(stopped, grown, Console(quiet=True))
    assert kept_rows(stopped) == kept_rows(whole)


def test_samples_set_aside_as_surplus_come_back_when_they_are_wanted_again(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    both = make_config(40, languages={"fr": 1, "de": 1})
    build(workspace, both)
    before = kept_rows(workspace)
    summary = build(workspace, make_config(30, languages=ONE))
    assert summary.dropped["surplus"] >= 20
    num_requests = server.num_requests
    assert num_requests >= 50
    build(workspace, both)
    assert kept_rows(workspace) == before
    assert server.num_requests == num_requests


def test_the_cap_on_rounds_counts_from_the_last_change_of_what_is_wanted(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace = new_workspace()
    build(workspace, make_config(30, max_rounds=1))
    assert build(workspace, make_config(50, max_rounds=1)).num_kept == 50
    assert build(workspace, make_config(50, max_rounds=1)).num_kept == 50


def test_what_may_not_change_is_named(serve: Serve, new_workspace: NewWorkspace) -> None:
    serve()
    workspace = new_workspace()
    build(workspace, make_config(12))
    other = make_config(
        12,
        seed=5,
        images={"embedder": "descriptor", "window": (-0.5, 1)},
        teacher={"model": "other"},
    )
    with pytest.raises(
        LedgerError, match=r"another configuration \(images.window, seed, teacher.model\)"
    ):
        build(workspace, other)
    judge = {"model": "second", "prices": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}}
    build(workspace, make_config(12, judge=judge))


def test_another_embedder_is_refused_whatever_its_name(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    build(workspace, make_config(24))
    auto = {"images": {"embedder": "auto", "window": (-1, 1)}}
    build(workspace, make_config(30, **auto))  # stands for the descriptor in this corpus
    (workspace.images_dir / "embedder").write_text("efficientnet-lite0\n", encoding="utf-8")
    build(workspace, make_config(36, **auto))  # what it was begun with still says "auto"
    with pytest.raises(LedgerError, match=r"embedder efficientnet-lite0.*is descriptor here.*auto"):
        build(workspace, make_config(40))
    assert server.num_requests == 36


def teacher(**fields: object) -> dict[str, object]:
    prices = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
    return {"model": "scripted", "timeout_s": 5, "prices": prices, **fields}


@pytest.mark.parametrize(
    "change",
    [
        {"teacher": teacher(structured_output="json_object")},
        {"teacher": teacher(max_completion_tokens=900)},
        {"teacher": teacher(timeout_s=7, prices=None, api_key_env="OPENAI_API_KEY")},
        {"images": {"embedder": "descriptor", "window": (-1, 1), "max_side_px": 64}},
        {"pace": {"max_in_flight": 3}},
    ],
)
def test_settings_of_the_endpoint_may_change_half_way_and_the_same_rows_come_out(
    serve: Serve, new_workspace: NewWorkspace, change: dict[str, object]
) -> None:
    server, whole, changed = serve(), new_workspace("whole"), new_workspace("changed")
    build(whole, make_config(40))
    before = server.num_requests
    stopped_at(changed, make_config(40), 25)
    build(changed, make_config(40, **change))
    build(changed, make_config(40))
    assert server.num_requests == 2 * before
    assert [row for row, _ in kept_rows(changed)] == [row for row, _ in kept_rows(whole)]


def test_a_refusal_says_what_defines_the_set_and_what_may_change(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace = new_workspace()
    build(workspace, make_config(12))
    other = make_config(12, seed=5, teacher=teacher(structured_output="text"))
    with pytest.raises(
        LedgerError,
        match=r"\(seed\), which defines the set; settings of the endpoint \(teacher.structured_o",
    ):
        build(workspace, other)


@pytest.mark.parametrize("is_file_lost", [False, True])
def test_a_workspace_of_an_earlier_version_goes_on_and_takes_other_settings_too(
    serve: Serve, new_workspace: NewWorkspace, is_file_lost: bool
) -> None:
    server, workspace = serve(), new_workspace()
    begun = make_config(30, teacher=teacher(structured_output="json_object"))
    # Earlier versions hashed these settings as they were; plans and keys came of that hash.
    former = begun.workspace_hash_with(begun.endpoint_settings())
    assert former != begun.workspace_hash
    with Ledger(workspace.ledger_path, create=True) as ledger:
        ledger.set_meta("plan_version", str(PLAN_VERSION))
        ledger.set_meta("workspace_hash", former)
    save_config(begun, workspace.config_path)
    stopped_at(workspace, begun, 20)
    with Ledger(workspace.ledger_path) as ledger:
        ledger.drop_meta("hashed with")
    if is_file_lost:
        workspace.config_path.unlink()
    changed = make_config(30, teacher=teacher(structured_output="text", max_completion_tokens=900))
    assert build(workspace, changed).num_kept == 30
    assert server.num_requests == 30
    assert build(workspace, begun).num_kept == 30
    with pytest.raises(LedgerError, match="another configuration"):
        build(workspace, make_config(30, seed=9, teacher=teacher()))


def test_the_hash_of_a_workspace_is_that_of_earlier_versions() -> None:
    known = "98926b9dc38a06d9c12899a01eef47baccefeeb53a3d536eaafc00c4947ceed8"
    assert BuildConfig().workspace_hash == known
    wordy = BuildConfig.model_validate({"teacher": {"structured_output": "text"}})
    assert wordy.workspace_hash == known
