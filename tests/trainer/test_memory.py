"""A step that does not fit is taken again in parts that are smaller each time."""

import itertools
from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.errors import OutOfMemoryError  # noqa: E402
from trainer.grad_cache import plan_chunks  # noqa: E402
from trainer.memory import Chunking  # noqa: E402


@dataclass(frozen=True)
class _Item:
    num_tokens: int
    image: str | None = None


def _kept_tokens(lengths: list[int], bound: int | None) -> int:
    """The most that a step with this bound keeps at once: all chunks, or the largest."""
    chunks = plan_chunks(lengths, bound)
    tokens = [len(chunk) * max(lengths[number] for number in chunk) for chunk in chunks]
    return sum(tokens) if bound is None else max(min(sum(tokens), bound), *tokens)


def _bounds_tried(lengths: list[int], room: int, chunking: Chunking) -> list[int | None]:
    """Bounds until a step fits into this many tokens."""
    tried: list[int | None] = []

    def step(bound: int | None) -> torch.Tensor:
        tried.append(bound)
        if _kept_tokens(lengths, bound) > room:
            raise torch.OutOfMemoryError("out of memory")
        return torch.zeros(())

    chunking.run([_Item(length) for length in lengths], step, on_retry=lambda: None)
    return tried


@pytest.mark.parametrize(
    "lengths",
    [
        [40] * 64,
        [8] * 500 + [900],  # short texts beside one picture: items x longest is 110 times too much
        [4] * 300 + [250] * 4,
        list(range(5, 300, 3)),
    ],
    ids=["even", "one long", "few long", "spread"],
)
@pytest.mark.parametrize("share", [0.9, 0.4, 0.1])
def test_every_retry_needs_at_most_half_of_the_memory_or_one_item(
    lengths: list[int], share: float
) -> None:
    whole = _kept_tokens(lengths, None)
    room = max(int(share * whole), max(lengths))
    tried = _bounds_tried(lengths, room, Chunking(None))
    kept = [_kept_tokens(lengths, bound) for bound in tried]
    for before, after in itertools.pairwise(kept):
        assert after <= max(before // 2, max(lengths))
    assert len(tried) > 1


def test_the_longest_item_alone_is_tried_before_giving_up() -> None:
    lengths = [9] * 3 + [30]
    assert _bounds_tried(lengths, 30, Chunking(None))[-1] == 30
    with pytest.raises(OutOfMemoryError, match="one item of 30 tokens does not fit"):
        _bounds_tried(lengths, 29, Chunking(None))


def test_a_rank_among_several_names_a_bound_that_is_smaller_than_what_it_tried() -> None:
    lengths = [8] * 500 + [900]
    with pytest.raises(OutOfMemoryError, match="--max-chunk-tokens") as caught:
        _bounds_tried(lengths, 1_000, Chunking(None, world_size=2))
    bound = int(str(caught.value).rsplit(" ", 1)[1].rstrip("."))
    assert 900 <= bound <= _kept_tokens(lengths, None) // 2
