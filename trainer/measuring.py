"""Commands that measure: evaluate, compare, weak-spots."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from command_line.extras import require
from trainer.commands.settings import make_config, split_list
from trainer.compare.config import CompareConfig, parse_sizes
from trainer.config import Batching, EvaluateConfig, TrainConfig, Tune
from trainer.errors import SettingError
from trainer.options import (
    OLDER_MODEL_NAMES,
    CacheDir,
    Dataset,
    Model,
    NumCandidates,
    Output,
    Revision,
    dataset_name,
    use_cache,
)

EqualChoice = Literal["steps", "pairs"]
MeasureChoice = Literal["concepts", "cells"]


def evaluate(
    model: Annotated[Path, typer.Option(help="Directory that `train` wrote.")],
    output: Output,
    dataset: Dataset = None,
    revision: Revision = None,
    suite: Annotated[
        str,
        typer.Option(
            help="validation: the version's held-out rows; mmeb or xtd: files of the benchmark "
            "at --data; or a .jsonl or .parquet FILE of your own."
        ),
    ] = "validation",
    data: Annotated[
        str | None, typer.Option(help="Directory or Hub repository with a benchmark's files.")
    ] = None,
    k: Annotated[int | None, typer.Option(help="Depth of recall.", show_default="10")] = None,
    num_candidates: NumCandidates = None,
    cache_dir: CacheDir = None,
) -> None:
    """Measures an exported model: recall@k, MRR and nDCG@10 per language, cell and task.

    python -m trainer evaluate --model model --dataset me/street-scenes@0.2.0 --output evaluation

    python -m trainer evaluate --model model --suite xtd --data XTD-10 --output xtd
    """
    require("train", "torch", "safetensors", "transformers")
    config = make_config(EvaluateConfig, {"k": k, "num_candidates": num_candidates})
    use_cache(cache_dir)
    named = dataset_name(dataset, revision) if suite == "validation" else data or dataset or ""
    if not named and suite in ("validation", "mmeb", "xtd"):
        option = "dataset" if suite == "validation" else "data"
        raise SettingError("suite", suite, f"give --{option} too.")
    from trainer.commands.evaluate import run_evaluate

    run_evaluate(config, suite=suite, data=named or "", model=model, output=output)


def compare(
    output: Output,
    versions: Annotated[
        list[str] | None,
        typer.Argument(
            help="OWNER/NAME@X.Y.Z or DIR, one or more; the first is what the others are "
            "compared with.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Older spelling of a single version.", hidden=True)
    ] = None,
    revision: Revision = None,
    languages: Annotated[
        str | None,
        typer.Option(
            help="Several versions: train on these alone. One version: these against all "
            "languages. One version and nothing else to compare: en."
        ),
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(
            help='Leave out "hard_negatives", "vqa", "T->I", "retrieval I->I"; with one version '
            "each is an arm of its own."
        ),
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Numbers of training rows, such as 1k,4k, for a curve.")
    ] = None,
    equal: Annotated[
        EqualChoice | None,
        typer.Option(
            help="steps: as many for each; pairs: as many rows for each, too.", show_default="steps"
        ),
    ] = None,
    measure: Annotated[
        MeasureChoice | None,
        typer.Option(
            help="concepts: text to image; cells: every row's query.", show_default="concepts"
        ),
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="Smallest difference that matters.", show_default="0.01")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="At least three; five find smaller differences.", show_default="0,1,2,3,4"
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML of `train`'s settings.")
    ] = None,
    model: Model = None,
    tune: Annotated[Tune | None, typer.Option(help="heads, lora or full.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of each arm.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch.")] = None,
    batching: Annotated[Batching | None, typer.Option(help="cell, mixed or concept.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of InfoNCE.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    k: Annotated[int | None, typer.Option(help="Depth of recall.", show_default="10")] = None,
    num_candidates: NumCandidates = None,
    cache_dir: CacheDir = None,
) -> None:
    """Trains on versions or on parts of one, and says which data is better.

    Every arm has the same steps, first weights and held-out rows, which none trained on; the
    difference comes with an interval over seeds and concepts. Writes recall.json and recall.png.

    python -m trainer compare me/street-scenes@0.1.0 me/street-scenes@0.2.0 --output comparison

    python -m trainer compare me/street-scenes@0.2.0 --without hard_negatives,vqa --output parts
    """
    older = dataset_name(dataset, revision)
    named = (*(versions or ()), *((older,) if older else ()))
    if not named:
        raise SettingError("dataset", "", "name one version or more.")
    train_config = make_config(
        TrainConfig,
        {
            "dataset": named[0],
            "model.name": OLDER_MODEL_NAMES.get(model, model) if model else None,
            "model.tune": tune,
            "num_steps": steps,
            "batch_size": batch_size,
            "batching": batching,
            "loss.temperature": temperature,
            "learning_rate": learning_rate,
        },
        config,
    )
    evaluate_config = make_config(EvaluateConfig, {"k": k, "num_candidates": num_candidates})
    settings = make_config(
        CompareConfig,
        {
            "train": train_config,
            "evaluate": evaluate_config,
            "versions": named,
            "languages": split_list(languages),
            "without": split_list(without),
            "sizes": _sizes(sizes),
            "equal": equal,
            "measure": measure,
            "effect": effect,
            "seeds": None if seeds is None else tuple(seeds.split(",")),
        },
    )
    require("train", "torch", "safetensors", "transformers", "peft", "matplotlib")
    use_cache(cache_dir)
    from trainer.commands.compare import run_compare

    run_compare(settings, output)


def _sizes(text: str | None) -> tuple[int, ...] | None:
    try:
        return None if text is None else parse_sizes(text)
    except ValueError as exc:
        raise SettingError("sizes", text or "", str(exc)) from exc


def weak_spots(
    evaluation: Annotated[Path, typer.Argument(help="evaluation.json that `evaluate` wrote.")],
    output: Annotated[
        Path | None, typer.Option(help="Directory for the block and a plot; else printed only.")
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0, max=8, help="0 gives equal shares, more gives sharper ones.")
    ] = 1.0,
    max_share: Annotated[
        float, typer.Option(min=0, max=1, help="No language or cell gets a larger share.")
    ] = 0.25,
) -> None:
    """Says where a model is worst, as the shares that `builder plan` takes for the next round.

    python -m trainer weak-spots evaluation/evaluation.json > weak_spots.yaml
    """
    from trainer.commands.weak_spots import run_weak_spots

    run_weak_spots(evaluation, output, strength=strength, max_share=max_share)
