"""The corpus as columns, for planning: groups, splits and languages of all images at once."""

# N images, L languages

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builder.images.split import split_of
from builder.images.store import ImageStore


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """All images of a store, in order of their names.

    Args:
        sha256: Name of each image: the hash of its bytes as they were first stored.
        group_N: Number of each image's group, counted by first appearance.
        is_validation_N: Whether the image's group falls into the validation split.
        language_set_N: Number of each image's language set in `language_sets`.
        language_sets: The distinct sets; None means any language.
        mean_width: In pixels, over the corpus; 0 if it is empty.
        mean_height: The same for the height.
        digest: sha256 (hex) of everything that planning depends on.
        mean_shown_chars: Mean length of the texts of an image, as far as a model is shown them.
    """

    sha256: tuple[str, ...]
    group_N: NDArray[np.int32]
    is_validation_N: NDArray[np.bool_]
    language_set_N: NDArray[np.int32]
    language_sets: tuple[frozenset[str] | None, ...]
    mean_width: float
    mean_height: float
    digest: str
    mean_shown_chars: float = 0.0

    def __len__(self) -> int:
        return len(self.sha256)

    def allowed_in(self, language: str) -> NDArray[np.bool_] | None:
        """Which images can be written about in a language, shape (N,); None if all can."""
        allowed = [names is None or language in names for names in self.language_sets]
        return None if all(allowed) else np.array(allowed)[self.language_set_N]


def index_images(store: ImageStore, validation_share: float) -> ImageIndex:
    """Reads the whole store into columns; about 150 bytes per image."""
    names: list[str] = []
    groups: list[int] = []
    validation: list[bool] = []
    sets: list[int] = []
    group_numbers: dict[str, int] = {}
    set_numbers: dict[tuple[str, ...] | None, int] = {}
    is_validation: dict[int, bool] = {}
    digest = hashlib.sha256(f"{validation_share!r}".encode())
    width = height = shown_chars = 0
    for record in store.records():
        group = group_numbers.setdefault(record.group, len(group_numbers))
        if group not in is_validation:
            split = split_of(record.group, validation_share)
            is_validation[group] = split == "validation"
        names.append(record.name)
        groups.append(group)
        validation.append(is_validation[group])
        sets.append(set_numbers.setdefault(record.languages, len(set_numbers)))
        digest.update(f"{record.name} {record.group} {record.languages}\n".encode())
        width += record.width
        height += record.height
        shown_chars += record.num_shown_chars
    count = max(1, len(names))
    return ImageIndex(
        tuple(names),
        np.array(groups, dtype=np.int32),
        np.array(validation, dtype=np.bool_),
        np.array(sets, dtype=np.int32),
        tuple(None if names is None else frozenset(names) for names in set_numbers),
        width / count,
        height / count,
        digest.hexdigest(),
        shown_chars / count,
    )
