"""What is embedded, and a published row as items."""

from dataclasses import dataclass
from typing import Literal

ItemModality = Literal["T", "I", "IT"]


@dataclass(frozen=True, slots=True)
class Item:
    """What is embedded: an instruction, a text and an image, each optional.

    Args:
        instruction: English; only queries have one.
        text: In the row's language.
        image: sha256 of the image's bytes, which the corpus holds.
    """

    instruction: str | None = None
    text: str | None = None
    image: str | None = None

    @property
    def modality(self) -> ItemModality:
        """Which parts there are beside the instruction.

        Raises:
            ValueError: Neither text nor image.
        """
        if self.image is None:
            if self.text is None:
                raise ValueError("an item needs a text or an image.")
            return "T"
        return "I" if self.text is None else "IT"


@dataclass(frozen=True, slots=True)
class Row:
    """A published row: query, positive and hard negatives are items.

    Args:
        modality: Modality combination as published, query side first.
        negatives: Hard negatives of the query, any number, none included.
        query_negatives: Hard negatives of the positive, on the query's side; only rows
            whose sides were swapped have them.
    """

    id: str
    language: str
    task_type: str
    modality: str
    query: Item
    positive: Item
    negatives: tuple[Item, ...]
    query_negatives: tuple[Item, ...] = ()

    @property
    def cell(self) -> str:
        """Task type and modality combination, such as "retrieval IT->I"."""
        return f"{self.task_type} {self.modality}"

    @property
    def items(self) -> tuple[Item, ...]:
        """Query, positive, then hard negatives."""
        return (self.query, self.positive, *self.negatives, *self.query_negatives)
