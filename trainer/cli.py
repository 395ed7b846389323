"""Commands: train, evaluate, compare, cache."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from schemas.command_line import run
from schemas.extras import require
from trainer.config import CompareConfig, DatasetConfig, EncoderChoice, EvaluateConfig, TrainConfig
from trainer.errors import SettingError

_Kind = TypeVar("_Kind", bound=BaseModel)

app = typer.Typer(
    help="Trains embedding models on published rows and measures them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Dataset = Annotated[str, typer.Option(help="Release directory, or repository as owner/name.")]
Revision = Annotated[str | None, typer.Option(help="Version, such as v0.2.0.")]
Output = Annotated[Path, typer.Option(help="Directory to write to.")]
Languages = Annotated[str, typer.Option(help='Codes such as "en,fr", or "all".')]
Encoder = Annotated[
    EncoderChoice,
    typer.Option(help="pretrained towers, ngram (from scratch), or auto: pretrained if installed."),
]
Steps = Annotated[int | None, typer.Option(help="Training steps.")]
BatchSize = Annotated[int | None, typer.Option(help="Pairs in a batch.")]
Temperature = Annotated[float | None, typer.Option(help="Divides the similarities in InfoNCE.")]
LearningRate = Annotated[float | None, typer.Option(help="Highest learning rate.")]
NumCandidates = Annotated[int, typer.Option(help="Held-out concepts to choose among.")]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        help="Where features of frozen towers are kept between runs "
        "[default: polyscene/features in the user's cache]."
    ),
]


@app.command()
def train(
    dataset: Dataset,
    output: Output,
    revision: Revision = None,
    languages: Languages = "all",
    seed: Annotated[int, typer.Option(help="Same seed, same weights.")] = 0,
    steps: Steps = None,
    batch_size: BatchSize = None,
    temperature: Temperature = None,
    learning_rate: LearningRate = None,
    encoder: Encoder = "auto",
    cache_dir: CacheDir = None,
) -> None:
    """Trains an encoder on a version's train split and exports it."""
    require("train", "torch", "safetensors")
    from trainer.commands import run_train

    config = _checked(
        TrainConfig,
        dataset=DatasetConfig(path=dataset, revision=revision),
        encoder=encoder,
        languages=_split(languages),
        seed=seed,
        num_steps=steps,
        batch_size=batch_size,
        temperature=temperature,
        learning_rate=learning_rate,
    )
    run_train(config, output, cache_dir)


@app.command()
def evaluate(
    dataset: Dataset,
    model: Annotated[Path, typer.Option(help="Directory that `train` wrote.")],
    output: Output,
    revision: Revision = None,
    k: Annotated[int, typer.Option(help="Depth of recall.")] = 10,
    num_candidates: NumCandidates = 300,
    cache_dir: CacheDir = None,
) -> None:
    """Measures an exported encoder on a version's validation split."""
    require("train", "torch", "safetensors")
    from trainer.commands import run_evaluate

    config = _checked(EvaluateConfig, k=k, num_candidates=num_candidates)
    run_evaluate(config, DatasetConfig(path=dataset, revision=revision), model, output, cache_dir)


@app.command()
def compare(
    dataset: Dataset,
    output: Output,
    revision: Revision = None,
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0,1,2",
    languages: Languages = "all",
    steps: Steps = None,
    batch_size: BatchSize = None,
    temperature: Temperature = None,
    learning_rate: LearningRate = None,
    num_candidates: NumCandidates = 300,
    encoder: Encoder = "auto",
    cache_dir: CacheDir = None,
) -> None:
    """Trains on nothing, on English rows and on all rows, and writes recall.json and recall.png."""
    require("train", "torch", "matplotlib")
    from trainer.commands import run_compare

    train_config = _checked(
        TrainConfig,
        dataset=DatasetConfig(path=dataset, revision=revision),
        encoder=encoder,
        languages=_split(languages),
        num_steps=steps,
        batch_size=batch_size,
        temperature=temperature,
        learning_rate=learning_rate,
    )
    config = _checked(
        CompareConfig,
        train=train_config,
        evaluate=_checked(EvaluateConfig, num_candidates=num_candidates),
        seeds=tuple(seeds.split(",")),
    )
    run_compare(config, output, cache_dir)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is kept.")] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Says where features of frozen towers are kept and how large they are; or removes them."""
    from trainer.feature_cache import FeatureCache, default_cache_dir

    kept = FeatureCache(cache_dir or default_cache_dir())
    if clear:
        print(f"{kept.directory}: {_megabytes(kept.clear())} removed")
        return
    print(
        f"{kept.directory}: {_megabytes(kept.num_bytes)} of features of frozen towers, at most "
        f"{_megabytes(kept.max_bytes)}. They save time and nothing else; --clear removes them."
    )


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"


def _checked(kind: type[_Kind], **settings: object) -> _Kind:
    """A config from the options given; what was not given keeps its default.

    Raises:
        SettingError: An option has a value that it cannot have.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as exc:
        raise SettingError.of(exc, given) from exc


def _split(languages: str) -> tuple[str, ...] | None:
    """Codes of a comma-separated list; None for all."""
    if languages.strip() == "all":
        return None
    return tuple(code.strip() for code in languages.split(",") if code.strip())


def main() -> None:
    """Runs a command; whatever a user can meet is one line on stderr and an exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("trainer").setLevel(logging.INFO)
    os.environ.setdefault("DATASETS_VERBOSITY", "critical")  # what it would log, our errors say
    run(app)
