"""A few items whose vectors show whether an export is the trained model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.items import Item, ItemModality, Row
from trainer.embed import embed
from trainer.encoders.encoder import Encoder, Pictures

# P probe items, D embedding

_ITEMS_PER_MODALITY = 3
#: Vectors that differ by less are equal up to rounding.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class Probe:
    """Items with the vectors that the model gave before its first step.

    Args:
        items: Of each kind that the model takes, a few.
        pictures: Has their images.
        before_PD: L2-normalised, shape (P, D).
    """

    items: tuple[Item, ...]
    pictures: Pictures
    before_PD: NDArray[np.float32]

    def embed(self, encoder: Encoder) -> NDArray[np.float32]:
        """Vectors of the items, shape (P, D)."""
        return embed(encoder, self.items, self.pictures, progress="probe items")


def take_probe(encoder: Encoder, rows: Sequence[Row], pictures: Pictures) -> Probe:
    """Embeds a few items of the rows with an encoder as it is: take it before the first step.

    A run that is resumed takes it before the checkpoint is loaded.
    """
    items = probe_items(rows, encoder)
    return Probe(items, pictures, embed(encoder, items, pictures, progress="probe items"))


def probe_items(rows: Sequence[Row], encoder: Encoder) -> tuple[Item, ...]:
    """The first few items of each kind that a model takes, in the order of the rows."""
    found: dict[ItemModality, dict[Item, None]] = {kind: {} for kind in sorted(encoder.takes)}
    for row in rows:
        for item in row.items:
            of_kind = found.get(item.modality)
            if of_kind is not None and len(of_kind) < _ITEMS_PER_MODALITY:
                of_kind[item] = None
        if all(len(of_kind) == _ITEMS_PER_MODALITY for of_kind in found.values()):
            break
    return tuple(item for of_kind in found.values() for item in of_kind)


def what_is_wrong(
    before_PD: NDArray[np.float32],
    trained_PD: NDArray[np.float32],
    reloaded_PD: NDArray[np.float32],
    *,
    min_cosine: float,
    is_trained: bool,
) -> str | None:
    """Why an export is not the trained model, as a clause; None if it is.

    Args:
        before_PD: Vectors before the first step; L2-normalised like the others.
        trained_PD: Vectors of the model in memory.
        reloaded_PD: Vectors of the export, read again.
        min_cosine: Between the last two, item by item.
        is_trained: Steps were taken, so the first two must differ.

    Source: Qwen3-Embedding #167, where exports with LoRA gave the base's vectors.
    """
    if not all(np.isfinite(each).all() for each in (trained_PD, reloaded_PD)):
        return "its vectors are not finite numbers"
    if trained_PD.shape != reloaded_PD.shape:
        return f"it gives vectors of {reloaded_PD.shape[-1]} numbers, not {trained_PD.shape[-1]}"
    moved = float(np.abs(trained_PD - before_PD).max(initial=0.0))
    if is_trained and moved == 0.0:
        return "training moved no vector: nothing that the vectors depend on was trained"
    drift = float(np.abs(reloaded_PD - trained_PD).max(initial=0.0))
    from_base = float(np.abs(reloaded_PD - before_PD).max(initial=0.0))
    if is_trained and moved > _ROUNDING and drift >= moved / 2 and from_base < moved / 2:
        return "read again, it gives the vectors of the untrained model: the weights were not saved"
    norms_P = np.linalg.norm(reloaded_PD, axis=1) * np.linalg.norm(trained_PD, axis=1)
    cosine_P = (reloaded_PD * trained_PD).sum(axis=1) / np.maximum(norms_P, 1e-12)
    lowest = float(cosine_P.min(initial=1.0))
    if lowest < min_cosine:
        return f"read again, it gives other vectors (cosine {lowest:.6f}, not {min_cosine})"
    return None
