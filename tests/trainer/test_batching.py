import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.batching import PairTable, plan_epoch  # noqa: E402
from trainer.item_features import ItemFeatures  # noqa: E402
from trainer.pairs import Pair  # noqa: E402


def test_no_batch_holds_a_group_twice_where_that_can_be_avoided() -> None:
    groups = np.repeat(np.arange(40), 5)
    batches = plan_epoch(groups, 20, np.random.default_rng(0))
    assert sorted(row for batch in batches for row in batch) == list(range(200))
    full = [len(set(groups[batch])) == len(batch) for batch in batches]
    assert sum(full) >= len(full) - 3 and full[0]


def test_duplicates_come_when_there_are_too_few_groups() -> None:
    batches = plan_epoch(np.zeros(6, dtype=int), 4, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [4, 2]


def test_the_same_seed_plans_the_same_batches() -> None:
    groups = np.arange(30) % 11
    plans = [plan_epoch(groups, 8, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert plans[0] == plans[1] != plans[2]


def test_a_batch_puts_all_positives_first_then_ragged_hard_negatives_and_masks_their_group() -> (
    None
):
    pairs = [
        Pair("text_to_image", "en", "apple", "a1", ("b1", "a2"), "apple"),
        Pair("text_to_image", "fr", "poire", "b1", (), "pear"),
    ]
    images = {"a1": 0, "a2": 1, "b1": 2}
    features = ItemFeatures(torch.zeros(2, 1), torch.zeros(3, 1), {"apple": 0, "poire": 1}, images)
    group_of = {"a1": "apple", "a2": "apple", "b1": "pear"}.__getitem__
    batch = PairTable(pairs, features, group_of).batch([0, 1])
    assert batch.candidate_N.tolist() == [0, 2, 2, 1]
    assert batch.masked_BN.tolist() == [
        [True, False, False, True],
        [False, True, True, False],
    ]
