"""What a frozen tower is, and two that belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item", contravariant=True)


class Tower(Protocol[Item]):
    """Turns items of one modality into features; holds nothing trainable.

    `name` identifies weights and preprocessing: equal names give equal
    features. `batch_size` is the number of items it handles best in one call;
    `is_slow` says that its features are worth keeping on disk.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def is_slow(self) -> bool: ...

    def features(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """Features of shape (len(items), dim), in the order of the items."""
        ...


@dataclass(frozen=True, slots=True)
class Towers:
    """A text tower and an image tower that belong together.

    Args:
        kind: "pretrained" or "ngram".
        note: What the user should know of them, one sentence.
    """

    kind: str
    note: str
    text: Tower[str]
    image: Tower[bytes]
