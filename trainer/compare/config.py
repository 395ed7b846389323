"""Settings of a comparison; saved beside its output."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.vocabulary import CELLS, LANGUAGES
from trainer.config import EvaluateConfig, Seed, TrainConfig

#: Left out of a version by `without`, beside task types, modality combinations and cells.
HARD_NEGATIVES = "hard_negatives"
MIN_SEEDS = 3

_ABLATIONS = (
    HARD_NEGATIVES,
    *dict.fromkeys(cell.task_type for cell in CELLS),
    *dict.fromkeys(cell.modality for cell in CELLS),
    *(f"{cell.task_type} {cell.modality}" for cell in CELLS),
)


class CompareConfig(BaseModel):
    """Several versions, or one version and its ablations, trained alike and measured alike.

        CompareConfig(train=TrainConfig(dataset="o/n@0.2.0"), versions=("o/n@0.1.0", "o/n@0.2.0"))

    Args:
        train: How every arm trains; its dataset, languages, cells, row number and seed are
            the arms'.
        versions: One or more. The first is what the others are compared with.
        evaluate: How every arm is measured.
        seeds: Every arm trains with each; at least three, or the interval says nothing. With five
            a version without two thirds of the languages was found worse in 10 of 10 trials, with
            three in 8 (`benchmarks.compare_power`).
        languages: With several versions, their training rows are limited to these; with one,
            these languages alone are an arm beside all languages. With one version and
            nothing else to compare, English is.
        without: What is left out: "hard_negatives", a task type, a modality combination or a
            cell. With several versions of each; with one version each is an arm of its own.
        sizes: Training rows; every arm trains at each size, for a curve.
        equal: "steps": every arm takes the same number of steps, each over all its rows.
            "pairs": of every arm as many rows are drawn as the smallest has, too.
        measure: "concepts": text-to-image recall@k, the mean over languages. "cells": recall@k
            of the rows' own queries, the mean over cells.
        effect: The smallest difference of recall that matters, for statements on power.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    train: TrainConfig
    versions: tuple[str, ...] = Field(min_length=1)
    evaluate: EvaluateConfig = EvaluateConfig()
    seeds: tuple[Seed, ...] = (0, 1, 2, 3, 4)
    languages: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    sizes: tuple[Annotated[int, Field(ge=2)], ...] = ()
    equal: Literal["steps", "pairs"] = "steps"
    measure: Literal["concepts", "cells"] = "concepts"
    effect: float = Field(default=0.01, gt=0, lt=1)

    @field_validator("seeds")
    @classmethod
    def _enough_distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        for seed in seeds:
            if seeds.count(seed) > 1:
                raise ValueError(f"seed {seed} appears twice; the second would repeat the first.")
        if len(seeds) < MIN_SEEDS:
            raise ValueError(
                f"give at least {MIN_SEEDS} seeds: with fewer, chance and a difference between "
                "versions cannot be told apart."
            )
        return seeds

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, languages: tuple[str, ...] | None) -> tuple[str, ...] | None:
        unknown = [code for code in languages or () if code not in LANGUAGES]
        if unknown or languages == ():
            raise ValueError(
                f"{', '.join(unknown) or 'none'}: not among the 93 languages. "
                'Give codes such as "en,fr".'
            )
        return languages

    @field_validator("without")
    @classmethod
    def _known_ablations(cls, without: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in without if name not in _ABLATIONS]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: cannot be left out. Give {HARD_NEGATIVES}, a task type "
                '("vqa"), a modality combination ("T->I") or both ("retrieval T->I").'
            )
        return without

    @field_validator("sizes")
    @classmethod
    def _ascending(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(sizes)))

    @model_validator(mode="after")
    def _distinct_versions(self) -> "CompareConfig":
        for version in self.versions:
            if self.versions.count(version) > 1:
                raise ValueError(f"{version} is named twice. Name two different versions.")
        return self


def parse_sizes(text: str) -> tuple[int, ...]:
    """Numbers of rows from "500,1k,4k"; k is a thousand, m a million.

    Raises:
        ValueError: One is not such a number.
    """
    return tuple(_parse_size(part) for part in text.split(",") if part.strip())


def _parse_size(text: str) -> int:
    number = text.strip().lower()
    factor = {"k": 1_000, "m": 1_000_000}.get(number[-1:], 1)
    if factor > 1:
        number = number[:-1]
    try:
        size = float(number) * factor
    except ValueError:
        size = -1.0
    if not 2 <= size < 1e12 or size != int(size):
        raise ValueError(f"{text.strip()!r} is not a number of rows. Write 500, 1k or 2.5k.")
    return int(size)
