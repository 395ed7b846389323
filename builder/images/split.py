"""Decides the split of an image group by the group's name alone."""

import hashlib
from typing import Literal

Split = Literal["train", "validation"]


def split_of(group: str, validation_share: float) -> Split:
    """The split of a group; the same on every machine, independent of other images.

    A larger `validation_share` moves groups from train to validation and none back.
    """
    digest = hashlib.sha256(f"split:{group}".encode("utf-8", "surrogatepass")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    return "validation" if position < validation_share else "train"
