"""How many different instructions and texts the kept samples of a cell and language have."""

from collections import Counter
from dataclasses import dataclass, field

import orjson

from builder.ledger.ledger import Ledger
from schemas.vocabulary import Slot


@dataclass(slots=True)
class Variety:
    """Counts over some kept samples.

    Args:
        num: Samples.
        instructions: How often each instruction is used, case and spaces evened out.
        num_with_text: Samples with a query or positive text.
        texts: Hashes of their different pairs of query and positive text.
    """

    num: int = 0
    instructions: Counter[str] = field(default_factory=Counter)
    num_with_text: int = 0
    texts: set[int] = field(default_factory=set)

    @property
    def num_texts(self) -> int:
        """Different pairs of query and positive text."""
        return len(self.texts)

    @property
    def commonest(self) -> tuple[str, int]:
        """The instruction that is used most, and how often."""
        return self.instructions.most_common(1)[0] if self.instructions else ("", 0)

    def as_json(self) -> dict[str, int]:
        return {
            "instructions": len(self.instructions),
            "commonest_instruction": self.commonest[1],
            "texts": self.num_texts,
        }


def read_variety(ledger: Ledger) -> dict[Slot, Variety]:
    """Counts the kept samples of each cell and language; a few microseconds a sample."""
    found: dict[Slot, Variety] = {}
    for _, raw in ledger.kept_in_job_order():
        row = orjson.loads(raw)
        slot = row["task_type"], row["modality"], row["language"]
        variety = found.setdefault(slot, Variety())
        variety.num += 1
        variety.instructions[" ".join(row["instruction"].casefold().split())] += 1
        texts = row["query_text"], row["positive_text"]
        if texts != (None, None):
            variety.num_with_text += 1
            variety.texts.add(hash(texts))
    return found


def by_language(varieties: dict[Slot, Variety]) -> dict[str, Variety]:
    """The same over all cells of each language."""
    found: dict[str, Variety] = {}
    for (_, _, language), variety in varieties.items():
        whole = found.setdefault(language, Variety())
        whole.num += variety.num
        whole.instructions.update(variety.instructions)
        whole.num_with_text += variety.num_with_text
        whole.texts |= variety.texts
    return found
