import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.loss import (  # noqa: E402
    info_nce,
    matryoshka_loss,
    too_similar_mask,
    two_way_info_nce,
)


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


def test_too_few_candidates_are_refused_by_shape() -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 8\) with N >= 5; got \(3, 8\)"):
        info_nce(_unit(5, 8, 1), _unit(3, 8, 2), 0.1)


def _naive_multi(query, candidate, temperature, positive, masked):
    total, num = 0.0, 0
    for i in range(len(query)):
        own = [j for j in range(len(candidate)) if positive[i][j]]
        if not own:
            continue
        num += 1
        for p in own:
            terms = [p] + [
                j for j in range(len(candidate)) if not positive[i][j] and not masked[i][j]
            ]
            scores = [float(query[i] @ candidate[j]) / temperature for j in terms]
            total += (math.log(sum(map(math.exp, scores))) - scores[0]) / len(own)
    return total / num


def test_several_positives_are_each_set_against_the_negatives_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    for seed in range(20):
        query, candidate = _unit(6, 8, seed), _unit(9, 8, 100 + seed)
        positive = torch.rand(6, 9, generator=generator) < 0.25
        positive[0], positive[1, 0] = False, True  # one query only serves as a negative
        masked = torch.rand(6, 9, generator=generator) < 0.2
        loss = info_nce(query, candidate, 0.1, masked, positive_BN=positive)
        wanted = _naive_multi(query, candidate, 0.1, positive, masked)
        assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_the_reverse_of_several_positives_has_every_query_as_negative() -> None:
    query, candidate = _unit(5, 8, 1), _unit(4, 8, 2)
    positive = torch.zeros(5, 4, dtype=torch.bool)
    positive[0, 0] = positive[1, 0] = positive[2, 1] = True
    masked = torch.zeros_like(positive)
    loss = two_way_info_nce(query, candidate, 0.1, positive_BN=positive, reverse_weight=1.0)
    wanted = _naive_multi(candidate, query, 0.1, positive.T, masked.T)
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_a_query_with_every_other_candidate_masked_has_no_loss_and_no_gradient_of_nan() -> None:
    query, candidate = _unit(2, 4, 1).requires_grad_(), _unit(2, 4, 2)
    everything = torch.ones(2, 2, dtype=torch.bool)
    info_nce(query, candidate, 0.1, everything).backward()
    assert torch.isfinite(query.grad).all()


def test_rules_mask_what_scores_near_the_positive_and_nothing_else() -> None:
    query = torch.tensor([[1.0, 0.0]])
    angles = torch.tensor([0.5, 0.45, 0.6, 1.5, 3.0])  # the positive first
    candidate = torch.stack([angles.cos(), angles.sin()], dim=1)
    positive = torch.tensor([[True, False, False, False, False]])
    ratio = too_similar_mask(query, candidate, positive, "ratio", 0.95)
    assert ratio.tolist() == [[True, True, False, False, False]]
    margin = too_similar_mask(query, candidate, positive, "margin", 0.02)
    assert margin.tolist() == [[False, True, False, False, False]]
    opposite = torch.tensor([[False, False, False, False, True]])
    assert not too_similar_mask(query, candidate, opposite, "ratio").any()


def test_matryoshka_is_the_mean_over_the_sizes() -> None:
    query, candidate = _unit(4, 8, 1), _unit(6, 8, 2)
    losses = [
        info_nce(
            torch.nn.functional.normalize(query[:, :dim], dim=-1),
            torch.nn.functional.normalize(candidate[:, :dim], dim=-1),
            0.1,
        ).item()
        for dim in (8, 4, 2)
    ]
    found = matryoshka_loss(query, candidate, 0.1, reverse_weight=0.0, dims=(4, 2))
    assert found.item() == pytest.approx(sum(losses) / 3, rel=1e-5)
