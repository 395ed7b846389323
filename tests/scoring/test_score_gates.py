"""Gates on scores: bounds for all or for each language, rules on negatives; what is published."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builder.gates_config import GatesConfig
from builder.ledger.gates import apply_gates
from builder.ledger.ledger import Ledger
from builder.ledger.scores import (
    CLOSE_NEGATIVE,
    LOW_ALIGNMENT,
    Score,
    read_all_scores,
    rows_to_score,
    write_scores,
)
from builder.ledger.suspects import suspects
from builder.release import Version, open_inputs, release
from builder.workspace import Workspace
from schemas.row_scores import (
    ROW_SCORES_NAME,
    ROW_SCORES_SCHEMA,
    RowScoresError,
    read_review_ranks,
    read_row_scores,
)
from tests.release.small_workspace import kept_samples, small_workspace

NUM = 60


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return small_workspace(tmp_path / "ws", num_rows=NUM, num_images=8)


@pytest.fixture
def ledger(workspace: Workspace) -> Iterator[Ledger]:
    """Scores in which French is much lower than the rest; every third has a negative."""
    with Ledger(workspace.ledger_path) as ledger:
        scores = [
            Score(
                *(row.id, row.language, number / NUM - (row.language == "fr"), 0.5),
                margin=None if number % 3 else 0.5 - number / NUM,
                negative_match=None if number % 3 else number / NUM,
            )
            for number, row in enumerate(kept_samples(workspace))
        ]
        write_scores(ledger, scores, "a model, a rule")
        yield ledger


def kept(workspace: Workspace) -> Counter[str]:
    return Counter(row.language for row in kept_samples(workspace))


def test_one_bound_drops_the_lowest_of_all_and_one_a_language_the_lowest_of_each(
    workspace: Workspace, ledger: Ledger
) -> None:
    before = kept(workspace)
    num = int(0.1 * NUM)
    assert apply_gates(ledger, GatesConfig(alignment_share=0.1))[LOW_ALIGNMENT] == num
    assert before - kept(workspace) == Counter(fr=num)
    gates = GatesConfig(alignment_share=0.25, alignment_by="language")
    apply_gates(ledger, gates)
    wanted = Counter({language: int(0.25 * n) for language, n in before.items()})
    assert before - kept(workspace) == +wanted
    assert apply_gates(ledger, GatesConfig())[LOW_ALIGNMENT] == 0
    assert kept(workspace) == before


@pytest.mark.parametrize(
    ("gates", "is_close"),
    [
        # NV-Retriever: a negative above 95 % of the positive. Cosines: 0.5 and number / NUM.
        ({"negative_max_ratio": 0.95}, lambda number: number / NUM > 0.475),
        # Qwen3-VL-Embedding: above the mean of positives and a delta.
        ({"negative_max_over_mean": 0.2}, lambda number: number / NUM > 0.7),
    ],
)
def test_a_negative_near_the_positive_is_dropped_and_scored_again(
    workspace: Workspace, ledger: Ledger, gates: dict[str, float], is_close
) -> None:
    wanted = sum(is_close(number) for number in range(0, NUM, 3))
    dropped = apply_gates(ledger, GatesConfig.model_validate(gates))
    assert wanted and dropped[CLOSE_NEGATIVE] == wanted
    assert len(kept_samples(workspace)) == NUM - wanted
    assert len(list(rows_to_score(ledger))) == NUM  # a better model may let them back in
    apply_gates(ledger, GatesConfig())
    assert len(kept_samples(workspace)) == NUM


def test_suspects_are_the_lowest_scores_and_the_best_fitting_negatives_in_turn() -> None:
    scores = [
        Score(f"{number:024x}", "en", float(number), 0.0, None, float(number))
        for number in range(100)
    ]
    found = [(int(sample_id, 16), part) for sample_id, part in suspects(scores).items()]
    assert found[:4] == [(0, "positive"), (99, "negative"), (1, "positive"), (98, "negative")]
    assert len(found) == 10
    assert suspects(scores[::-1]) == suspects(scores)
    assert suspects([]) == {}


def test_a_release_carries_the_scores_beside_its_shards(
    workspace: Workspace, ledger: Ledger, tmp_path: Path
) -> None:
    apply_gates(ledger, GatesConfig(alignment_share=0.1))
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, Version.parse("0.1.0"), workspace.releases_dir)
    table = read_row_scores(made.directory)
    assert table is not None
    rows = {row["id"]: row for row in table.to_pylist()}
    assert set(rows) == {row.id for row in kept_samples(workspace)}
    assert ROW_SCORES_NAME in {entry.path for entry in made.manifest.files}
    for score in read_all_scores(ledger):
        if score.sample_id in rows:
            row = rows[score.sample_id]
            assert row["alignment"] == pytest.approx(score.score, abs=1e-4)
            assert (row["margin"] is None) == (score.margin is None)
    ranks = read_review_ranks(made.directory)
    assert list(ranks.values()) == list(range(len(ranks))) and len(ranks) == 6
    assert {i for i, row in rows.items() if row["suspected"]} == set(ranks)
    again = release_again(workspace, made.directory)
    assert not again.is_new  # the same bytes


def release_again(workspace: Workspace, directory: Path):
    with open_inputs(workspace, None) as inputs:
        return release(inputs, Version.parse(directory.name), workspace.releases_dir)


def test_a_workspace_that_was_never_scored_has_no_such_file(workspace: Workspace) -> None:
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, Version.parse("0.1.0"), workspace.releases_dir)
    assert read_row_scores(made.directory) is None and read_review_ranks(made.directory) == {}


def test_a_file_of_scores_from_before_there_were_ranks_is_read(tmp_path: Path) -> None:
    names = [name for name in ROW_SCORES_SCHEMA.names if name not in ("picture_rank", "num_ranked")]
    earlier = pa.schema([ROW_SCORES_SCHEMA.field(name) for name in names])
    row = {**dict.fromkeys(names), "id": "a" * 24, "alignment": 0.5}
    pq.write_table(pa.Table.from_pylist([row], earlier), tmp_path / ROW_SCORES_NAME)
    read = read_row_scores(tmp_path)
    assert read is not None and read.schema.equals(ROW_SCORES_SCHEMA)
    assert read["picture_rank"].to_pylist() == [None]
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / ROW_SCORES_NAME)
    with pytest.raises(RowScoresError, match="not a readable file of scores"):
        read_row_scores(tmp_path)


def test_scores_of_an_earlier_program_are_read_and_replaced(
    workspace: Workspace, ledger: Ledger
) -> None:
    rows = [(s.sample_id, s.language, s.score, s.cosine, s.margin) for s in read_all_scores(ledger)]
    ledger.db.executescript(
        "DROP TABLE score; CREATE TABLE score (sample_id TEXT PRIMARY KEY, language TEXT NOT NULL, "
        "score REAL NOT NULL, cosine REAL NOT NULL, margin REAL) WITHOUT ROWID;"
    )
    ledger.db.executemany("INSERT INTO score VALUES (?, ?, ?, ?, ?)", rows)
    old = read_all_scores(ledger)
    assert len(old) == NUM and {score.negative_match for score in old} == {None}
    assert set(suspects(old).values()) == {"positive"}
    write_scores(ledger, [Score("a" * 24, "en", 0.0, 0.0, None, 0.5)], "another")
    assert [score.negative_match for score in read_all_scores(ledger)] == [0.5]
