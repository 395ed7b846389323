"""The arms of a comparison: the rows each trains on, and which pairs are compared."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from trainer.compare.config import HARD_NEGATIVES, CompareConfig
from trainer.config import TrainConfig
from trainer.data.corpus import Corpus
from trainer.data.items import Row
from trainer.data.select import is_in_cells
from trainer.errors import NoRowsError, SettingError

UNTRAINED = "untrained"
ENGLISH_ONLY = "english_only"
MULTILINGUAL = "multilingual"


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm trains on.

    Args:
        name: Its name in tables and JSON.
        corpus: Its rows; None trains nothing.
        has_hard_negatives: False leaves them out of the loss.
        size: Rows drawn from the corpus, others with every seed; None takes all.
        family: Arms that differ in size alone have one family: one line of the curve.
    """

    name: str
    corpus: Corpus | None
    has_hard_negatives: bool = True
    size: int | None = None
    family: str = ""

    @property
    def num_rows(self) -> int:
        """Rows it trains on with each seed."""
        if self.corpus is None:
            return 0
        return len(self.corpus.rows) if self.size is None else self.size

    def corpus_for(self, seed: int) -> Corpus | None:
        """The rows of one seed.

        Smaller draws are part of larger ones; versions that share rows draw the same of them.
        """
        if self.corpus is None or self.size is None:
            return self.corpus
        return replace(self.corpus, rows=draw_rows(self.corpus.rows, self.size, seed))

    def train_config(self, config: TrainConfig, seed: int) -> TrainConfig:
        """How it trains; languages and cells are already its corpus'."""
        loss = config.loss
        if not self.has_hard_negatives:
            loss = loss.model_copy(update={"hard_negatives": False})
        update = {"seed": seed, "loss": loss, "languages": None, "cells": None, "max_rows": None}
        return config.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two arms that are compared; the difference is first minus second."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Every arm, the untrained one first, and the contrasts between them."""

    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]


def plan_arms(config: CompareConfig, train: Sequence[Corpus]) -> Plan:
    """The arms that a comparison trains.

    Args:
        config: What was asked.
        train: Training rows of every version, in the config's order.

    Raises:
        NoRowsError: An arm has no training row.
        SettingError: An arm has fewer than the smallest of the sizes.
    """
    base = [_limit(corpus, config.train.languages, config.train.cells) for corpus in train]
    full = _ablated(config, base[0]) if len(base) == 1 else _versions(config, base)
    pairs = [Contrast(arm.name, full[0].name) for arm in full[1:]]
    if len(base) == 1 and len(full) > 1:  # the whole version against each part of it
        pairs = [Contrast(contrast.second, contrast.first) for contrast in pairs]
    if config.equal == "pairs":
        smallest = min(arm.num_rows for arm in full)
        full = [replace(arm, size=smallest) for arm in full]
    if config.sizes:
        sized, pairs = _at_sizes(config.sizes, full, pairs)
    else:
        sized = _demo_order(full)
    return Plan((Arm(UNTRAINED, None), *sized), tuple(pairs))


def _versions(config: CompareConfig, base: Sequence[Corpus]) -> list[Arm]:
    """One arm per version, each without the same languages and cells."""
    cells = tuple(name for name in config.without if name != HARD_NEGATIVES)
    names = _distinct_names(base)
    return [
        Arm(
            name,
            _leave_out(_limit(corpus, config.languages, None), cells)
            if cells or config.languages
            else corpus,
            has_hard_negatives=HARD_NEGATIVES not in config.without,
            family=name,
        )
        for name, corpus in zip(names, base, strict=True)
    ]


def _ablated(config: CompareConfig, base: Corpus) -> list[Arm]:
    """The whole version, then each part of it."""
    languages = config.languages
    if languages is None and not config.without and not config.sizes:
        languages = ("en",)
    name = "all rows" if config.without else MULTILINGUAL
    arms = [Arm(name, base, family=name)]
    if languages is not None:
        part = ENGLISH_ONLY if languages == ("en",) else f"{', '.join(languages)} only"
        arms.append(Arm(part, _limit(base, languages, None), family=part))
    for left_out in config.without:
        part = f"without {left_out.replace('_', ' ')}"
        if left_out == HARD_NEGATIVES:
            arms.append(Arm(part, base, has_hard_negatives=False, family=part))
        else:
            arms.append(Arm(part, _leave_out(base, (left_out,)), family=part))
    return arms


def _at_sizes(
    sizes: Sequence[int], full: Sequence[Arm], pairs: Sequence[Contrast]
) -> tuple[list[Arm], list[Contrast]]:
    """Every arm at every size it has rows for, and each contrast at every size of both."""
    sized = [
        replace(arm, name=f"{arm.name}, {size:,} rows", size=size)
        for arm in full
        for size in sizes
        if arm.corpus is not None and size <= len(arm.corpus.rows)
    ]
    named = {arm.name for arm in sized}
    contrasts = [
        Contrast(f"{pair.first}, {size:,} rows", f"{pair.second}, {size:,} rows")
        for pair in pairs
        for size in sizes
        if {f"{pair.first}, {size:,} rows", f"{pair.second}, {size:,} rows"} <= named
    ]
    if not pairs:  # one line: every size against the one below
        names = [arm.name for arm in sized]
        contrasts = [Contrast(larger, smaller) for smaller, larger in pairwise(names)]
    for arm in full:
        if arm.corpus is not None and sizes[0] > len(arm.corpus.rows):
            raise SettingError(
                "sizes",
                str(sizes[0]),
                f"{arm.corpus.version.label}, {arm.name}: it has only {len(arm.corpus.rows):,} "
                "training rows. Give a smaller size too.",
            )
    return sized, contrasts


def _demo_order(arms: Sequence[Arm]) -> list[Arm]:
    """English before all languages, as tables and plots read best."""
    return sorted(arms, key=lambda arm: arm.name == MULTILINGUAL)


def _limit(corpus: Corpus, languages: Sequence[str] | None, cells: Sequence[str] | None) -> Corpus:
    if languages is None and cells is None:
        return corpus
    rows = [
        row
        for row in corpus.rows
        if (languages is None or row.language in languages)
        and (cells is None or is_in_cells(row, cells))
    ]
    return _with_rows(corpus, rows, languages, cells)


def _leave_out(corpus: Corpus, cells: Sequence[str]) -> Corpus:
    rows = [row for row in corpus.rows if not is_in_cells(row, cells)]
    return _with_rows(corpus, rows, None, [f"all but {', '.join(cells)}"] if cells else None)


def _with_rows(
    corpus: Corpus,
    rows: list[Row],
    languages: Sequence[str] | None,
    cells: Sequence[str] | None,
) -> Corpus:
    """The corpus with these rows.

    Raises:
        NoRowsError: There are none.
    """
    if not rows:
        raise NoRowsError(
            corpus.version.label,
            corpus.split,
            languages=languages,
            cells=cells,
            available_languages=sorted({row.language for row in corpus.rows}),
            available_cells=sorted({row.cell for row in corpus.rows}),
        )
    return replace(corpus, rows=rows)


def draw_rows(rows: Sequence[Row], size: int, seed: int) -> list[Row]:
    """A seeded sample of rows in published order; it depends only on their ids."""
    ordered = sorted(range(len(rows)), key=lambda number: _place(rows[number].id, seed))
    return [rows[number] for number in sorted(ordered[:size])]


def _place(row_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{row_id}".encode(), digest_size=8).digest()


def _distinct_names(base: Sequence[Corpus]) -> list[str]:
    """Version numbers where those tell the versions apart, else their whole labels."""
    numbers = [corpus.version.number for corpus in base]
    labels = [corpus.version.label for corpus in base]
    if len(set(numbers)) == len(base) and len({label.split("@")[0] for label in labels}) == 1:
        return numbers
    if len(set(labels)) == len(base):
        return labels
    return [f"{label} ({number})" for number, label in enumerate(labels, start=1)]
