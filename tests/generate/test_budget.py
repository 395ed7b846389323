"""`--max-usd` is a hard stop: what is spent and what is under way stay inside it together."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from builder.config import TeacherConfig
from builder.cost.budget import Budget, BudgetReached
from builder.cost.upper_bound import max_reply_tokens, text_tokens
from builder.generate.session import BuildOptions, run_build
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from schemas.errors import PolysceneError
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

A_SAMPLE_USD = (1900 + 2 * 900) / 1e6
ALL_AT_ONCE = {"max_in_flight": 256, "initial_in_flight": 256}


def test_what_is_spent_and_set_aside_never_exceeds_the_bound() -> None:
    budget = Budget(max_usd=1.0)
    assert [budget.reserve(f"r{number}", 0.3) for number in range(5)] == [True] * 3 + [False] * 2
    assert budget.num_requests == 3
    budget.charge("r0", 0.1)
    assert budget.cost_usd + budget.reserved_usd == pytest.approx(0.7)
    assert budget.reserve("r3", 0.3)
    assert not budget.reserve("r4", 0.1)
    budget.release("r1")
    assert budget.reserve("r4", 0.1)


def test_a_call_without_an_answer_stays_counted_at_its_most() -> None:
    budget = Budget(max_usd=1.0)
    assert budget.reserve("a", 0.6)
    budget.forfeit("a")
    assert not budget.may_free_up
    assert not budget.reserve("a", 0.6)
    assert "$0.6000 may be billed for calls without an answer" in str(budget.reached(0.6))


def test_a_reply_dearer_than_its_bound_raises_later_ones() -> None:
    budget = Budget(max_usd=1.0)
    assert budget.reserve("a", 0.1)
    budget.charge("a", 0.3)
    assert budget.reserve("b", 0.2)
    assert budget.reserved_usd == pytest.approx(0.6)
    assert not budget.reserve("c", 0.1)


def test_without_a_bound_on_money_nothing_is_set_aside() -> None:
    budget = Budget(max_requests=2)
    assert budget.reserve("a", 9.0)
    assert budget.reserve("b", 9.0)
    assert budget.reserved_usd == 0.0
    assert not budget.reserve("c", 9.0)
    assert "--max-requests 2" in str(budget.reached(9.0))


def test_the_bound_on_a_text_counts_scripts_that_tokenisers_hardly_know_by_the_byte() -> None:
    assert text_tokens(b"ten bytes.") == 5
    assert text_tokens("እንኳን".encode()) == len("እንኳን".encode())
    assert max_reply_tokens(TeacherConfig(max_completion_tokens=900)) == 900
    raised = TeacherConfig(max_completion_tokens=900, extra_body={"max_tokens": 4_000})
    assert max_reply_tokens(raised) == 4_000


@pytest.mark.parametrize("faults", [{}, {"429": 0.1, "500": 0.1}, {"not_json": 0.3}])
def test_max_usd_is_never_exceeded_however_many_calls_are_in_flight(
    serve: Serve, new_workspace: NewWorkspace, faults: dict[str, float]
) -> None:
    server, workspace = serve(Faults(latency_s=0.1, rates=faults)), new_workspace()
    bound = 12 * A_SAMPLE_USD
    config = make_config(600, pace=ALL_AT_ONCE)
    with pytest.raises(BudgetReached, match=r"has spent \$0\.\d+.*set aside.*next one can cost"):
        build(workspace, config, max_usd=bound)
    with Ledger(workspace.ledger_path) as ledger:
        spent = ledger.spent()
    assert bound / 2 < spent.cost_usd <= bound
    assert server.statuses[200] == spent.num_replies
    with pytest.raises(BudgetReached):
        build(workspace, config, max_usd=bound)
    assert server.statuses[200] == spent.num_replies
    with Ledger(workspace.ledger_path) as ledger:
        assert set(ledger.drop_counts()) <= {"not_json"}


def test_what_no_budget_was_left_for_is_built_once_there_is_more(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(latency_s=0.05)), new_workspace()
    config = make_config(60, pace=ALL_AT_ONCE)
    with pytest.raises(BudgetReached):
        build(workspace, config, max_usd=20 * A_SAMPLE_USD)
    assert 10 <= len(kept_rows(workspace)) <= 20
    assert build(workspace, config).num_kept == 60
    assert server.num_requests == 60


def test_replies_without_usage_count_as_the_most_they_can_have_cost(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(counts_tokens=False)), new_workspace()
    bound = 12 * A_SAMPLE_USD
    reason = r"of it estimated, for \d+ replies without `usage`"
    with pytest.raises(BudgetReached, match=reason):
        build(workspace, make_config(200), max_usd=bound)
    assert 0 < server.num_requests * A_SAMPLE_USD <= bound
    with Ledger(workspace.ledger_path) as ledger:
        spent = ledger.spent()
    assert server.num_requests * A_SAMPLE_USD < spent.cost_usd <= bound
    assert spent.num_estimated == server.num_requests
    assert spent.estimated_usd == pytest.approx(spent.cost_usd)
    server.faults.counts_tokens = True
    console = Console(file=(said := io.StringIO()), width=300)
    run_build(workspace, make_config(200), BuildOptions(), console)
    estimated = f"${spent.cost_usd:.4f} of it estimated, for {spent.num_estimated} replies"
    assert estimated in said.getvalue()


def test_teacher_and_judge_are_set_aside_for_at_their_own_prices(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(latency_s=0.05)), new_workspace()
    prices = {"input_usd_per_mtok": 20.0, "output_usd_per_mtok": 40.0}
    judge = {"model": "dear", "prices": prices}
    bound = 100 * A_SAMPLE_USD
    with pytest.raises(BudgetReached):
        build(workspace, make_config(200, judge=judge, pace=ALL_AT_ONCE), max_usd=bound)
    num_judged = server.asked.total() - server.num_samples_asked
    assert num_judged > 0
    spent = server.num_samples_asked * A_SAMPLE_USD + num_judged * 20 * A_SAMPLE_USD
    assert spent <= bound


def test_max_usd_names_the_model_whose_price_is_unknown(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve()
    with pytest.raises(PolysceneError, match=r"price of nobody-sells-this.*`judge\.prices`"):
        config = make_config(60, judge={"model": "nobody-sells-this"})
        build(new_workspace(), config, max_usd=1.0)
    assert server.num_requests == 0
