"""Settings of a training, a measurement or a comparison; saved beside its output."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.vocabulary import LANGUAGES

CONFIG_NAME = "train_config.json"

#: Seeds that torch accepts.
Seed = Annotated[int, Field(ge=0, lt=2**63)]

#: What is trained: projections over frozen towers, LoRA adapters, or every weight.
Tune = Literal["heads", "lora", "full"]
#: How the token states of a vision-language model become one vector.
Pooling = Literal["auto", "last", "mean"]
#: How rows come together: one cell each, any, or concepts with several languages each.
Batching = Literal["cell", "mixed", "concept"]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LoraSettings(_Config):
    """LoRA (Hu et al. 2021, arXiv:2106.09685) on every Linear of the language model.

    Rank and alpha are mmE5's. With DoRA a step takes two to three times as long.
    """

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=64.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    dora: bool = False
    vision: bool = False  # also the vision tower's Linears


class ModelConfig(_Config):
    """Which model starts, and which part of it is trained.

    Args:
        name: "compact", "ngram", a directory or Hub name of a transformers model, or
            "TEXT+IMAGE" for two towers; "auto" is compact where its packages are installed,
            else ngram.
        revision: Of a model on the Hub.
        tune: None takes the model's default: heads for compact, else LoRA.
        max_tokens: Texts are truncated to this many tokens; images never are.
        max_image_pixels: Larger pictures are scaled down before the processor; None
            leaves that to the processor.
        embedding_dim: Of heads over towers; models without heads keep their own.
    """

    name: str = "auto"
    revision: str | None = None
    tune: Tune | None = None
    lora: LoraSettings = LoraSettings()
    pooling: Pooling = "auto"
    max_tokens: int = Field(default=256, ge=8)
    max_image_pixels: int | None = Field(default=None, ge=64)
    embedding_dim: int = Field(default=256, ge=2)
    head_dropout: float = Field(default=0.5, ge=0, lt=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


class LossConfig(_Config):
    """InfoNCE and what counts as a negative.

    Args:
        temperature: None takes the model's default: 0.02 as mmE5, 0.1 for heads.
        learn_temperature: Train it, from `temperature` on.
        reverse_weight: Share of the positive-to-query direction; 0.5 is symmetric.
        matryoshka_dims: Further sizes to which embeddings may be cut
            (Kusupati et al. 2022, arXiv:2205.13147).
        negative_rule: Candidates that score too close to the positive are not negatives:
            "ratio" above `negative_bound` x positive (NV-Retriever, arXiv:2407.15831),
            "margin" above positive + `negative_bound` (Qwen3-Embedding, arXiv:2506.05176).
        hard_negatives: False leaves the rows' own hard negatives out; None for the model's default.
    """

    temperature: float | None = Field(default=None, gt=1e-4, le=10)
    learn_temperature: bool = False
    reverse_weight: float | None = Field(default=None, ge=0, le=1)
    matryoshka_dims: tuple[int, ...] = ()
    negative_rule: Literal["none", "ratio", "margin"] = "none"
    negative_bound: float | None = None
    hard_negatives: bool | None = None


class TrainConfig(_Config):
    """One training run; the same config on the same rows gives the same weights.

    Args:
        dataset: `OWNER/NAME@X.Y.Z`, a release directory, or `DIR@X.Y.Z`.
        languages: None trains on all.
        cells: Task types ("vqa"), combinations ("T->I") or both ("retrieval T->I"); None is all.
        texts_per_concept: Of batches by concept; None takes up to four, as long as a batch has 256
            concepts.
        num_steps: None follows from `num_epochs`, or the model's own default.
        batch_size: Queries in a step, over all ranks; None as above.
        max_chunk_tokens: Tokens embedded at once; more are split by GradCache. None measures it.
        learning_rate: None as above. Bounded so that every optimiser's float holds it.
        max_unreadable_share: Rows that may be skipped for an unreadable picture.
    """

    dataset: str
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    languages: tuple[str, ...] | None = None
    cells: tuple[str, ...] | None = None
    max_rows: int | None = Field(default=None, ge=2)
    batching: Batching | None = None
    texts_per_concept: int | None = Field(default=None, ge=1)
    seed: Seed = 0
    num_steps: int | None = Field(default=None, ge=0)
    num_epochs: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=2)
    max_chunk_tokens: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0, le=1e30)
    weight_decay: float | None = Field(default=None, ge=0, le=1e3)
    warmup_share: float = Field(default=0.05, ge=0, le=1)
    max_gradient_norm: float = Field(default=1.0, gt=0)
    log_steps: int | None = Field(default=None, ge=1)
    save_steps: int | None = Field(default=None, ge=1)
    keep_checkpoints: int = Field(default=2, ge=1)
    eval_steps: int | None = Field(default=None, ge=1)
    max_unreadable_share: float = Field(default=0.001, ge=0, le=1)

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

    @model_validator(mode="after")
    def _one_length(self) -> "TrainConfig":
        if self.num_steps is not None and self.num_epochs is not None:
            raise ValueError("give num_steps or num_epochs, not both.")
        return self


class TrainingDefaults(_Config):
    """Defaults of a model for settings that the user left open; see `Encoder.defaults`.

    These are of LoRA on a vision-language model: temperature, warm-up and one
    epoch are mmE5's, the learning rate is VLM2Vec's (arXiv:2410.05160).
    """

    num_steps: int | None = None
    num_epochs: float | None = 1.0
    batch_size: int = 128
    learning_rate: float = 2e-5
    weight_decay: float = 0.0
    temperature: float = 0.02
    reverse_weight: float = 0.0
    batching: Batching = "cell"
    hard_negatives: bool = True


class EvaluateConfig(_Config):
    """How recall@k is measured."""

    k: int = Field(default=10, ge=1)
    num_candidates: int = Field(default=300, ge=2)
    candidate_seed: int = 0
    num_resamples: int = Field(default=1000, ge=10)


def save_config(config: BaseModel, directory: Path, name: str = CONFIG_NAME) -> Path:
    """Writes the resolved config beside the output it belongs to."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path
