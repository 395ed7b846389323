"""A choice among too many samples meets the shares, prefers quality, and repeats little."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import typer
from typer.testing import CliRunner

from builder.balance import wanted_targets
from builder.balance.choose import (
    CANDIDATE_SCHEMA,
    Candidates,
    apply_choice,
    choose,
    figures_of,
    read_candidates,
)
from builder.commands import select as command
from builder.config import load_config, save_config
from builder.ledger.ledger import Ledger
from builder.plan.shares import targets_of
from tests.release.small_workspace import small_workspace

SLOT = ("retrieval", "T->I", "ar")


def samples(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Samples that differ in nothing but what is given."""
    return pa.Table.from_pylist(
        [
            {
                **dict(zip(("task_type", "modality", "language"), SLOT, strict=True)),
                "id": f"{number:024x}",
                "instruction": f"Instruction {number}.",
                "query_image": f"image {number}",
                "positive_image": None,
                **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 4),
                "alignment": None,
                **row,
            }
            for number, row in enumerate(rows)
        ],
        schema=CANDIDATE_SCHEMA,
    )


def chosen(table: pa.Table, num: int, **options: float) -> set[int]:
    choice = choose(table, {SLOT: num}, **options)  # type: ignore[arg-type]
    return set(np.flatnonzero(choice.is_chosen).tolist())


def test_the_better_ones_are_chosen() -> None:
    table = samples([{"clarity": 2}, {}, {"relevance": 5}, {"alignment": 0.1}, {"alignment": 0.9}])
    assert chosen(table, 2) == {2, 4}
    assert chosen(table, 3) == {1, 2, 4}


def test_a_repeated_picture_or_instruction_gives_way_to_another() -> None:
    table = samples([{"query_image": "same", "relevance": 5}, {"query_image": "same"}, {}])
    assert chosen(table, 2) == {0, 2}
    table = samples([{"instruction": "Same. "}, {"instruction": "same."}, {"clarity": 3}])
    assert 2 in chosen(table, 2)
    assert chosen(table, 2, repeat_cost=0) == {0, 1}
    # But not at any price.
    names = ("relevance", "plausibility", "clarity", "diversity")
    worst: dict[str, object] = dict.fromkeys(names, 1)
    assert chosen(samples([{"query_image": "a"}, {"query_image": "a"}, worst]), 2) == {0, 1}


def test_the_same_seed_chooses_the_same_in_any_order() -> None:
    rows = [{"query_image": f"image {n % 50}"} for n in range(400)]
    table = samples(rows)
    order = np.random.default_rng(0).permutation(400)
    shuffled = table.take(order)

    def ids(of: pa.Table, seed: int) -> list[str]:
        choice = choose(of, {SLOT: 100}, seed)
        return sorted(of["id"].filter(pa.array(choice.is_chosen)).to_pylist())

    assert ids(table, 1) == ids(shuffled, 1) != ids(table, 2)
    picked = choose(table, {SLOT: 100}, 1)
    assert figures_of(table, picked.is_chosen).num_images == 50


def test_slots_get_their_number_and_say_what_they_lack() -> None:
    other = {"language": "sw"}
    table = samples([{}, {}, {}, other, {"language": "de"}])
    choice = choose(table, {SLOT: 2, ("retrieval", "T->I", "sw"): 3, ("vqa", "IT->T", "ar"): 1})
    assert choice.num == 3 and not choice.is_chosen[4]
    assert choice.short == {("retrieval", "T->I", "sw"): 2, ("vqa", "IT->T", "ar"): 1}


def test_what_is_set_aside_can_be_chosen_again(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "w", num_rows=80)
    with Ledger(workspace.ledger_path) as ledger:
        candidates = read_candidates(ledger)
        assert isinstance(candidates, Candidates) and len(candidates) == 80
        counts = ledger.accepted_counts()
        half = choose(candidates.samples, {slot: num // 2 for slot, num in counts.items()})
        assert apply_choice(ledger, candidates, half) == (80 - half.num, 0)
        assert ledger.drop_counts()["surplus"] == 80 - half.num
        candidates = read_candidates(ledger)
        assert len(candidates) == 80  # surplus is chosen from as well
        whole = choose(candidates.samples, counts)
        assert apply_choice(ledger, candidates, whole) == (0, 80 - half.num)
        assert ledger.accepted_counts() == counts


def test_the_command_reports_writes_and_applies(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "w", num_rows=80)
    config = load_config(workspace.config_path).model_copy(
        update={"num_samples": 20, "languages": dict.fromkeys(("en", "fr", "ar"), 1.0)}
    )
    save_config(config, workspace.config_path)
    app = typer.Typer()
    command.register(app)
    root, out = str(workspace.root), tmp_path / "ids.txt"
    reported = CliRunner().invoke(app, ["-w", root, "-o", str(out)])
    assert "chosen:" in reported.stdout and "distinct" not in reported.stdout
    ids = out.read_text().split()
    with Ledger(workspace.ledger_path) as ledger:
        assert len(ids) <= 20 and sum(ledger.accepted_counts().values()) == 80
        CliRunner().invoke(app, ["-w", root, "--apply"])
        assert sorted(ids) == [
            row[0]
            for row in ledger.db.execute(
                "SELECT sample_id FROM outcome WHERE reason IS NULL ORDER BY 1"
            )
        ]
    assert CliRunner().invoke(app, ["-w", root, "--apply", "--num", "5"]).exit_code == 2


def test_a_workspace_that_grew_keeps_what_its_build_counts_as_wanted(tmp_path: Path) -> None:
    """After a pilot, slots are wanted as they grew, not as planned from nothing."""
    workspace = small_workspace(tmp_path / "w", num_rows=80)
    config = load_config(workspace.config_path)
    with Ledger(workspace.ledger_path) as ledger:
        ledger.set_base(config.targets | {"num_samples": 80}, ledger.accepted_counts())
        config = config.model_copy(update={"num_samples": 80})
        save_config(config, workspace.config_path)
        wanted = wanted_targets(config, ledger).by_slot
        assert sum(wanted.values()) >= 80 and targets_of(config).by_slot != wanted
        counts = ledger.accepted_counts()
        fits = sum(min(num, wanted.get(slot, 0)) for slot, num in counts.items())
    app = typer.Typer()
    command.register(app)
    out = tmp_path / "ids.txt"
    assert CliRunner().invoke(app, ["-w", str(workspace.root), "-o", str(out)]).exit_code == 0
    assert len(out.read_text().split()) == fits
