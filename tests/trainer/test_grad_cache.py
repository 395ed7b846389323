from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from tests.trainer.tiny_encoder import Tiny, TinyEncoder  # noqa: E402
from trainer.grad_cache import backward, plan_chunks  # noqa: E402
from trainer.loss import info_nce  # noqa: E402


def _items(lengths: Sequence[int]) -> list[Tiny]:
    generator = torch.Generator().manual_seed(5)
    return [
        Tiny(
            torch.randint(0, 512, (length,), generator=generator),
            torch.rand(192, generator=generator).double(),
            None,
        )
        for length in lengths
    ]


def _loss(embedding_ID: "torch.Tensor") -> "torch.Tensor":
    return info_nce(embedding_ID[:5], embedding_ID[5:], 0.05)


def _gradients(encoder: TinyEncoder) -> dict[str, "torch.Tensor"]:
    found = {name: each.grad for name, each in encoder.named_parameters() if each.grad is not None}
    encoder.zero_grad(set_to_none=True)
    return found


def _worst(found: dict[str, "torch.Tensor"], wanted: dict[str, "torch.Tensor"]) -> float:
    assert found.keys() == wanted.keys()
    return max(float((found[k] - wanted[k]).norm() / wanted[k].norm()) for k in wanted)


LENGTHS = [3, 9, 1, 4, 4, 12, 2, 7, 5, 3, 8, 6]


def test_chunks_hold_every_item_once_and_no_more_tokens_than_allowed() -> None:
    chunks = plan_chunks(LENGTHS, 16)
    assert sorted(number for chunk in chunks for number in chunk) == list(range(len(LENGTHS)))
    assert all(len(chunk) * max(LENGTHS[n] for n in chunk) <= 16 for chunk in chunks)
    assert len(chunks) < len(LENGTHS)


def test_an_item_longer_than_a_chunk_is_a_chunk_of_its_own() -> None:
    assert [3] in plan_chunks([1, 1, 1, 50], 4)


def test_short_items_are_not_padded_to_long_ones_where_that_costs_more_than_a_pass() -> None:
    lengths = [10] * 100 + [300] * 10
    assert plan_chunks(lengths, None) == [list(range(100)), list(range(100, 110))]
    assert len(plan_chunks(lengths, None, tokens_per_pass=100_000)) == 1
    assert plan_chunks(LENGTHS, None) == [sorted(range(12), key=lambda n: LENGTHS[n])]
    assert plan_chunks([0, 0], None) == [[0, 1]]
    assert plan_chunks([], None) == []


def test_the_groups_are_those_of_least_padding() -> None:
    lengths = sorted(int(length) for length in torch.randint(1, 60, (9,)))
    for tokens_per_pass in (5, 30, 90):

        def cost(chunks: list[list[int]], each: int = tokens_per_pass) -> int:
            return sum(len(chunk) * max(lengths[n] for n in chunk) + each for chunk in chunks)

        best = min(
            cost([list(range(a, b)) for a, b in pairwise([0, *cuts, len(lengths)])])
            for size in range(len(lengths))
            for cuts in combinations(range(1, len(lengths)), size)
        )
        assert cost(plan_chunks(lengths, None, tokens_per_pass)) == best


def test_gradients_of_groups_equal_one_pass() -> None:
    encoder, items = TinyEncoder().double(), _items([3, 200, 5, 180, 4, 190, 2, 210, 6, 8])
    assert len(plan_chunks([item.num_tokens for item in items], None)) == 2
    _loss(encoder(items)).backward()
    wanted = _gradients(encoder)
    backward(encoder, items, _loss, None)
    assert _worst(_gradients(encoder), wanted) < 1e-12


@pytest.mark.parametrize("max_chunk_tokens", [1, 12, 30, 1000])
def test_gradients_in_chunks_equal_a_plain_pass(max_chunk_tokens: int) -> None:
    encoder, items = TinyEncoder().double(), _items(LENGTHS)
    plain = backward(encoder, items, _loss, None)
    wanted = _gradients(encoder)
    cached = backward(encoder, items, _loss, max_chunk_tokens)
    assert cached.item() == pytest.approx(plain.item(), rel=1e-12)
    assert _worst(_gradients(encoder), wanted) < 1e-12


def test_the_second_pass_has_the_dropout_of_the_first() -> None:
    encoder, items = TinyEncoder(dropout=0.5).double().train(), _items(LENGTHS)
    chunks = plan_chunks([item.num_tokens for item in items], 20)
    assert len(chunks) > 2
    torch.manual_seed(11)
    place = torch.tensor([number for chunk in chunks for number in chunk]).argsort()
    embedded = torch.cat([encoder([items[number] for number in chunk]) for chunk in chunks])
    _loss(embedded[place]).backward()  # the same draws, all in one graph
    wanted, after = _gradients(encoder), torch.rand(1)
    torch.manual_seed(11)
    backward(encoder, items, _loss, 20)
    assert _worst(_gradients(encoder), wanted) < 1e-12
    assert torch.equal(torch.rand(1), after), "the random state goes on as after one pass"


def test_parameters_of_the_loss_receive_their_gradient_once() -> None:
    encoder, items = TinyEncoder().double(), _items(LENGTHS)
    log_temperature = torch.tensor(-3.0, dtype=torch.double, requires_grad=True)

    def loss(embedding_ID: "torch.Tensor") -> "torch.Tensor":
        return info_nce(embedding_ID[:5], embedding_ID[5:], log_temperature.exp())

    backward(encoder, items, loss, None)
    wanted = log_temperature.grad.clone()
    log_temperature.grad = None
    backward(encoder, items, loss, 9)
    assert log_temperature.grad.item() == pytest.approx(wanted.item(), rel=1e-12)
