"""The head over a tower: standardised features, some of them dropped, mapped to a unit vector."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.portable.heads import Head  # noqa: E402

NUM_FEATURES = 400


@pytest.fixture
def features() -> torch.Tensor:
    """Of 20 items; no standardised value is zero."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn((20, NUM_FEATURES), generator=generator) * 5 + 2


@pytest.fixture
def head(features: torch.Tensor) -> Head:
    """Its linear layer changes nothing."""
    head = Head(NUM_FEATURES, NUM_FEATURES, dropout=0.3)
    head.fit_scale(features)
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(NUM_FEATURES))
        head.linear.bias.zero_()
    return head


def test_evaluation_drops_nothing_and_follows_mean_and_scale(
    head: Head, features: torch.Tensor
) -> None:
    given = features.clone()
    embeddings = head.eval()(features)
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    torch.testing.assert_close(embeddings, torch.nn.functional.normalize(standard))
    torch.testing.assert_close(features, given, rtol=0, atol=0)


def test_training_drops_a_share_of_features_and_changes_no_other(
    head: Head, features: torch.Tensor
) -> None:
    expected = head.eval()(features)
    torch.manual_seed(0)
    embeddings = head.train()(features)
    is_kept = embeddings != 0
    assert is_kept.float().mean().item() == pytest.approx(0.7, abs=0.05)
    ratio = torch.where(is_kept, embeddings / expected, torch.nan)
    spread = ratio.nan_to_num(-1e9).max(1).values / ratio.nan_to_num(1e9).min(1).values
    torch.testing.assert_close(spread, torch.ones(20), rtol=1e-4, atol=0)
    assert len(is_kept.unique(dim=0)) == 7, "rows in eight groups of three, the last one empty"


def test_what_is_dropped_is_made_up_for_on_average(head: Head, features: torch.Tensor) -> None:
    head.train()
    torch.manual_seed(0)
    mapped: list[torch.Tensor] = []
    head.linear.register_forward_hook(lambda *call: mapped.append(call[2]))
    for _ in range(400):
        head(features)
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    error = (torch.stack(mapped).mean(0) - standard).abs().mean() / standard.abs().mean()
    assert error.item() < 0.05


@pytest.mark.parametrize("num_items", [1, 7, 8, 9])
def test_any_number_of_items_keeps_its_order(
    head: Head, features: torch.Tensor, num_items: int
) -> None:
    expected = head.eval()(features[:num_items])
    embeddings = head.train()(features[:num_items])
    assert (embeddings * expected).sum(1).min() > 0.6


def test_gradients_reach_towers_that_are_trained(head: Head, features: torch.Tensor) -> None:
    given = features.clone().requires_grad_()
    head.train()(given)[:, :50].sum().backward()
    assert given.grad is not None and bool(given.grad.abs().sum() > 0)
