"""What `plan` estimates is what a run against realistic replies is told it took."""

from collections.abc import Callable

import pytest

from builder.config import BuildConfig
from builder.cost.estimate import Estimate, estimate, estimate_judge
from builder.plan.shares import targets_of
from builder.workspace import Workspace
from schemas.vocabulary import CELLS
from tests.generate.conftest import build, make_config
from tests.generate.fault_server import FaultServer
from tests.generate.realistic import RealisticServer, realistic_languages

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

PICTURE_PX = (64.0, 64.0)
PRICES = {"input_usd_per_mtok": 2.5, "output_usd_per_mtok": 10}


def make_estimate(config: BuildConfig) -> Estimate:
    targets = targets_of(config)
    return estimate(
        config.teacher, config, targets, targets.wanted_CL, image_size=PICTURE_PX, drop_share=0
    )


def config_of(num_samples: int, **fields: object) -> BuildConfig:
    teacher = {"model": "gpt-4o-2024-08-06", "prices": PRICES}
    languages = dict.fromkeys(realistic_languages(), 1)
    return make_config(
        num_samples,
        **{"teacher": teacher, "languages": languages, "max_rounds": 1, **fields},
    )


@pytest.mark.parametrize("structured_output", ["auto", "json_object"])
def test_tokens_and_price_are_within_a_tenth_of_what_a_run_reports(
    serve: Serve, new_workspace: NewWorkspace, structured_output: str
) -> None:
    serve(make=RealisticServer)
    teacher = {
        "model": "gpt-4o-2024-08-06",
        "prices": PRICES,
        "structured_output": structured_output,
    }
    config = config_of(160, teacher=teacher)
    spent = build(new_workspace(), config).spent
    found = make_estimate(config)
    assert spent.num_requests == found.num_calls == 160
    assert found.input_tokens == pytest.approx(spent.prompt_tokens, rel=0.1)
    assert found.output_tokens == pytest.approx(spent.completion_tokens, rel=0.1)
    assert found.usd == pytest.approx(spent.cost_usd, rel=0.1)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_is_estimated_within_a_tenth(
    serve: Serve, new_workspace: NewWorkspace, cell
) -> None:
    serve(make=RealisticServer)
    shares = {cell.task_type: 1}
    config = config_of(16, task_shares=shares, modality_shares={cell.task_type: {cell.modality: 1}})
    spent = build(new_workspace(), config).spent
    found = make_estimate(config)
    assert found.input_tokens == pytest.approx(spent.prompt_tokens, rel=0.1)
    assert found.output_tokens == pytest.approx(spent.completion_tokens, rel=0.1)


def test_a_judge_is_estimated_within_a_tenth(serve: Serve, new_workspace: NewWorkspace) -> None:
    serve(make=RealisticServer)
    judge = {"model": "gpt-5-mini", "prices": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 8}}
    config = config_of(160, judge=judge)
    assert config.judge is not None
    spent = build(new_workspace(), config).spent
    targets = targets_of(config)
    teacher = make_estimate(config)
    judged = estimate_judge(config.judge, config, targets, targets.wanted_CL, image_size=PICTURE_PX)
    both = teacher + judged
    assert judged.num_calls == spent.num_requests - 160 == 160
    assert both.usd == pytest.approx(spent.cost_usd, rel=0.1)
    assert judged.input_tokens == pytest.approx(spent.prompt_tokens - teacher.input_tokens, rel=0.2)
    assert judged.output_tokens == pytest.approx(160 * 186, rel=0.02)
    choosing = config_of(160, judge=judge, gates={"judge_choice": True})
    twice = estimate_judge(
        config.judge, choosing, targets, targets.wanted_CL, image_size=PICTURE_PX
    )
    assert twice.num_calls == 2 * judged.num_calls


def test_a_reply_takes_about_900_tokens_over_the_papers_plan() -> None:
    config = BuildConfig(num_samples=560_000, languages="mme5")
    found = make_estimate(config)
    assert 800 < found.output_tokens / found.num_calls < 1_000
