import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.loss import false_negative_mask, info_nce, two_way_info_nce  # noqa: E402


def _unit(rows: int, dim: int, seed: int) -> "torch.Tensor":
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, dim, generator=generator), dim=-1)


def _naive(query, candidate, temperature, masked):
    total = 0.0
    for i in range(len(query)):
        own = float(query[i] @ candidate[i]) / temperature
        terms = [
            float(query[i] @ candidate[j]) / temperature
            for j in range(len(candidate))
            if j == i or not masked[i][j]
        ]
        total += math.log(sum(math.exp(term) for term in terms)) - own
    return total / len(query)


@pytest.mark.parametrize("num_hard_negatives", [0, 1, 7])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_info_nce_equals_a_naive_loop(num_hard_negatives: int, temperature: float) -> None:
    query, candidate = _unit(5, 8, 1), _unit(5 + num_hard_negatives, 8, 2)
    masked = torch.rand(5, len(candidate), generator=torch.Generator().manual_seed(3)) < 0.3
    loss = info_nce(query, candidate, temperature, masked)
    assert loss.item() == pytest.approx(_naive(query, candidate, temperature, masked), rel=1e-5)


def test_a_query_keeps_its_own_positive_whatever_the_mask_says() -> None:
    query, candidate = _unit(3, 4, 1), _unit(3, 4, 2)
    everything = torch.ones(3, 3, dtype=torch.bool)
    assert info_nce(query, candidate, 0.1, everything).item() == pytest.approx(0.0, abs=1e-6)
    assert everything.all(), "the caller's mask is left alone"


def test_hard_negatives_raise_the_loss() -> None:
    query, candidate = _unit(4, 8, 1), _unit(9, 8, 2)
    assert info_nce(query, candidate, 0.1) > info_nce(query, candidate[:4], 0.1)


def test_the_reverse_direction_ignores_hard_negatives() -> None:
    query, candidate = _unit(4, 8, 1), _unit(9, 8, 2)
    reverse = two_way_info_nce(query, candidate, 0.1, reverse_weight=1.0)
    assert reverse.item() == pytest.approx(info_nce(candidate[:4], query, 0.1).item())


def test_equal_items_groups_and_queries_are_masked() -> None:
    positive, group, query = (
        torch.tensor([1, 2, 1]),
        torch.tensor([7, 7, 9]),
        torch.tensor([0, 3, 4]),
    )
    mask = false_negative_mask(
        [
            (positive, torch.cat([positive, torch.tensor([5])])),
            (group, torch.cat([group, torch.tensor([9])])),
            (query, torch.cat([query, torch.tensor([-1])])),
        ]
    )
    assert mask.tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, True, True],
    ]


def test_too_few_candidates_are_refused_by_shape() -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 8\) with N >= 5; got \(3, 8\)"):
        info_nce(_unit(5, 8, 1), _unit(3, 8, 2), 0.1)
