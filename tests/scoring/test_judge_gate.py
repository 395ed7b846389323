"""The judge as a gate: low scores drop a sample, a changed bound lets it back in."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from builder.gates_config import GatesConfig
from builder.ledger.gates import LOW_JUDGEMENT, apply_gates
from builder.ledger.ledger import Ledger
from tests.release.small_workspace import small_workspace

_CRITERIA = ("relevance", "plausibility", "clarity", "diversity")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Sixty samples, each judged with the same number four times: 1 to 5 in turn; ten unjudged."""
    workspace = small_workspace(tmp_path / "ws", num_rows=60, num_images=8)
    with Ledger(workspace.ledger_path) as ledger:
        for number, (job_id, text) in enumerate(sorted(ledger.kept_provenance())):
            provenance = orjson.loads(text)
            part = {"score": number % 5 + 1, "reason": "as it is"}
            provenance["judge"] = None if number < 10 else dict.fromkeys(_CRITERIA, part)
            ledger.set_outcome(job_id, None, orjson.dumps(provenance))
        yield ledger


def lowest_kept(ledger: Ledger) -> dict[str, int]:
    """The least score of a kept judged sample, by language."""
    found: dict[str, int] = {}
    for _, text in ledger.kept_provenance():
        row = orjson.loads(text)
        if row["judge"]:
            score = row["judge"]["clarity"]["score"]
            found[row["language"]] = min(score, found.get(row["language"], 5))
    return found


def test_what_the_judge_scores_too_low_is_dropped_and_comes_back(ledger: Ledger) -> None:
    assert apply_gates(ledger, GatesConfig(judge_min_score=3)) == {LOW_JUDGEMENT: 20}
    assert min(lowest_kept(ledger).values()) == 3
    assert apply_gates(ledger, GatesConfig(judge_min_score=2)) == {LOW_JUDGEMENT: 10}
    assert apply_gates(ledger, GatesConfig()) == {}
    assert min(lowest_kept(ledger).values()) == 1 and LOW_JUDGEMENT not in ledger.drop_counts()


def test_one_low_score_of_four_is_enough(ledger: Ledger) -> None:
    for job_id, text in list(ledger.kept_provenance()):
        row = orjson.loads(text)
        if row["judge"]:
            row["judge"] = {n: {"score": 5, "reason": ""} for n in _CRITERIA}
            row["judge"]["diversity"]["score"] = 1
            ledger.set_outcome(job_id, None, orjson.dumps(row))
    assert apply_gates(ledger, GatesConfig(judge_min_score=2)) == {LOW_JUDGEMENT: 50}


def test_a_language_or_cell_has_a_bound_of_its_own(ledger: Ledger) -> None:
    apply_gates(ledger, GatesConfig(judge_min_score=4, judge_min_scores={"fr": 2}))
    kept = lowest_kept(ledger)
    assert kept.pop("fr") < 4 and min(kept.values()) == 4
    bounds = GatesConfig(judge_min_score=5, judge_min_scores={"vqa IT->T": 3, "fr": 2})
    assert bounds.judge_bound("vqa IT->T", "en") == 3
    assert bounds.judge_bound("vqa IT->T", "fr") == 2
    assert bounds.judge_bound("retrieval I->I", "en") == 5


def test_a_name_that_is_neither_language_nor_cell_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"vqa I->T, xx: neither a language code"):
        GatesConfig(judge_min_scores={"xx": 3, "vqa I->T": 3})
