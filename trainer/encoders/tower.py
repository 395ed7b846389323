"""What a frozen tower is, and which pair of towers a choice stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.config import EncoderChoice
from trainer.errors import EncoderMissingError

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


def make_towers(choice: EncoderChoice) -> Towers:
    """The towers of a choice; "auto" takes the pretrained ones where their wheels are installed.

    Raises:
        EncoderMissingError: "pretrained" was asked for and is not installed.
    """
    from trainer.encoders.ngram import make_ngram_towers

    if choice == "ngram":
        return make_ngram_towers()
    from trainer.encoders.pretrained import make_pretrained_towers

    try:
        return make_pretrained_towers()
    except EncoderMissingError:
        if choice == "pretrained":
            raise
        return make_ngram_towers()
