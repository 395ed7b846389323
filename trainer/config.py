"""What a training or a comparison is asked to do; saved beside its output."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.vocabulary import LANGUAGES, Modality

EncoderChoice = Literal["auto", "pretrained", "ngram"]

CONFIG_NAME = "config.json"

#: What torch takes as a seed.
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetConfig(_Config):
    """Which published version is read: a directory, or a repository and its revision."""

    path: str
    revision: str | None = None


class TrainConfig(_Config):
    """One training run; the same config on the same rows gives the same weights."""

    dataset: DatasetConfig
    encoder: EncoderChoice = "auto"
    languages: tuple[str, ...] | None = None
    modalities: tuple[Modality, ...] = ("T->I", "T->IT", "I->T")
    seed: Seed = 0
    num_steps: int = Field(default=200, ge=1)
    batch_size: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    temperature: float = Field(default=0.1, gt=0)
    reverse_weight: float = Field(default=0.5, ge=0, le=1)
    embedding_dim: int = Field(default=256, ge=2)
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, languages: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if languages == ():
            raise ValueError('no language is named. Give codes such as "en,fr", or "all".')
        unknown = [code for code in languages or () if code not in LANGUAGES]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: not among the 93 languages. "
                'Give codes such as "en,fr", or "all".'
            )
        return languages


class EvaluateConfig(_Config):
    """How recall@k is measured."""

    k: int = Field(default=10, ge=1)
    num_candidates: int = Field(default=300, ge=2)
    candidate_seed: int = 0
    num_resamples: int = Field(default=1000, ge=10)


class CompareConfig(_Config):
    """Three arms, several seeds, one evaluation."""

    train: TrainConfig
    evaluate: EvaluateConfig = EvaluateConfig()
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1)
    baseline_language: str = "en"

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        twice = [seed for seed in seeds if seeds.count(seed) > 1]
        if twice:
            raise ValueError(
                f"seed {twice[0]} stands there twice; equal seeds give equal weights and an "
                "interval without width. Give different ones."
            )
        return seeds


def save_config(config: _Config, directory: Path) -> Path:
    """Writes the resolved config beside the output it belongs to."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / CONFIG_NAME
    path.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path
