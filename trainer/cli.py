"""Commands: train, evaluate, compare, weak-spots, push, cache."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from command_line.app import new_app, run_app
from command_line.environment import set_environment_defaults
from command_line.extras import require
from command_line.run import run
from schemas.versions import open_version
from schemas.vocabulary import CONFIG_OF_TASK
from trainer.commands.settings import make_config, split_list
from trainer.config import Batching, Pooling, TrainConfig, Tune
from trainer.errors import SettingError
from trainer.measuring import compare, evaluate, weak_spots
from trainer.options import (
    OLDER_MODEL_NAMES,
    CacheDir,
    Dataset,
    Languages,
    Model,
    Output,
    Revision,
    dataset_name,
    use_cache,
)

_LOG = logging.getLogger(__name__)

SCRIPT = "polyscene-train"

app = new_app("trainer", "Trains embedding models on published rows, measures and compares them.")


@app.command()
def train(
    output: Output,
    dataset: Dataset = None,
    revision: Revision = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="YAML with settings; options override it."),
    ] = None,
    model: Model = None,
    model_revision: Annotated[str | None, typer.Option(help="Of a model on the Hub.")] = None,
    tune: Annotated[
        Tune | None, typer.Option(help="heads over frozen towers, lora, or full: every weight.")
    ] = None,
    languages: Languages = None,
    cells: Annotated[
        str | None, typer.Option(help='Such as "vqa,T->I,retrieval I->I". Default: all.')
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Instead of --steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch, of all ranks.")] = None,
    batching: Annotated[
        Batching | None,
        typer.Option(
            help="cell: batches of one cell; mixed: any; concept: several languages per concept."
        ),
    ] = None,
    max_chunk_tokens: Annotated[
        int | None,
        typer.Option(
            help="Tokens embedded at once; larger batches go through GradCache. Default: the "
            "whole batch where it fits."
        ),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="AdamW's weight decay.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Divides the similarities in InfoNCE.")
    ] = None,
    learn_temperature: Annotated[
        bool | None, typer.Option("--learn-temperature", help="Train it too.")
    ] = None,
    reverse_weight: Annotated[
        float | None, typer.Option(help="Share of positive to query; 0.5 is symmetric.")
    ] = None,
    matryoshka: Annotated[
        str | None, typer.Option(help="Sizes to which embeddings may be cut, such as 64,128.")
    ] = None,
    negative_rule: Annotated[
        str | None,
        typer.Option(help="ratio or margin: candidates too similar to the positive are ignored."),
    ] = None,
    hard_negatives: Annotated[
        bool | None,
        typer.Option("--hard-negatives/--no-hard-negatives", help="Use the rows' own."),
    ] = None,
    lora_rank: Annotated[
        int | None, typer.Option(help="Rank of the adapters.", show_default="8")
    ] = None,
    lora_alpha: Annotated[
        float | None, typer.Option(help="LoRA alpha: scale x rank.", show_default="64")
    ] = None,
    lora_vision: Annotated[
        bool | None, typer.Option("--lora-vision", help="Adapters in the vision tower too.")
    ] = None,
    dora: Annotated[bool | None, typer.Option("--dora", help="DoRA; 2 to 3 times slower.")] = None,
    pooling: Annotated[Pooling | None, typer.Option(help="last token (with EOS) or mean.")] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            help="Texts are truncated to as many tokens, images never.", show_default="256"
        ),
    ] = None,
    max_image_pixels: Annotated[
        int | None, typer.Option(help="Larger pictures are scaled down first.")
    ] = None,
    eval_steps: Annotated[
        int | None, typer.Option(help="Steps between measurements. Default: ten per run.")
    ] = None,
    save_steps: Annotated[
        int | None, typer.Option(help="Steps between checkpoints. Default: ten per run.")
    ] = None,
    keep_checkpoints: Annotated[
        int | None, typer.Option(help="Checkpoints to keep.", show_default="2")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same weights.", show_default="0")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of resuming from a checkpoint.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be trained, then stop.")
    ] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Trains a model on a version's train split and exports it for sentence-transformers.

    Run it again after a stop or a kill: it resumes from its newest checkpoint and ends as if
    nothing had happened. Several GPUs: torchrun --nproc-per-node 8 -m trainer train …

    python -m trainer train --dataset me/street-scenes@0.2.0 --output model

    python -m trainer train --dataset me/street-scenes@0.2.0 --model Qwen/Qwen2-VL-2B-Instruct
    --batch-size 1024 --output model
    """
    if steps is not None and epochs is not None:
        raise SettingError("epochs", str(epochs), "give --steps or --epochs, not both.")
    if steps is not None and steps < 1:
        raise SettingError("steps", str(steps), "a training takes 1 step or more.")
    settings = make_config(
        TrainConfig,
        {
            "dataset": dataset_name(dataset, revision),
            "model.name": OLDER_MODEL_NAMES.get(model, model) if model else None,
            "model.revision": model_revision,
            "model.tune": tune,
            "model.lora.rank": lora_rank,
            "model.lora.alpha": lora_alpha,
            "model.lora.vision": lora_vision,
            "model.lora.dora": dora,
            "model.pooling": pooling,
            "model.max_tokens": max_tokens,
            "model.max_image_pixels": max_image_pixels,
            "loss.temperature": temperature,
            "loss.learn_temperature": learn_temperature,
            "loss.reverse_weight": reverse_weight,
            "loss.matryoshka_dims": split_list(matryoshka),
            "loss.negative_rule": negative_rule,
            "loss.hard_negatives": hard_negatives,
            "languages": split_list(languages),
            "cells": split_list(cells),
            "num_steps": steps,
            "num_epochs": epochs,
            "batch_size": batch_size,
            "batching": batching,
            "max_chunk_tokens": max_chunk_tokens,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "eval_steps": eval_steps,
            "save_steps": save_steps,
            "keep_checkpoints": keep_checkpoints,
            "seed": seed,
        },
        config,
    )
    use_cache(cache_dir)
    version = open_version(settings.dataset)
    if os.environ.get("RANK", "0") == "0":  # before torch is imported, which takes seconds
        shards = (version.shards(name, "train") for name in CONFIG_OF_TASK.values())
        num_rows = sum(shard.num_rows for of_config in shards for shard in of_config)
        _LOG.info("reading %s: %s rows to train on", version.label, f"{num_rows:,}")
    require("train", "torch", "safetensors", "transformers", "peft")
    from trainer.commands.train import run_train

    run_train(settings, version, output, fresh=fresh, dry_run=dry_run)


app.command()(evaluate)
app.command()(compare)
app.command()(weak_spots)


@app.command()
def push(
    directory: Annotated[Path, typer.Argument(help="Directory that `train` wrote.")],
    repo_id: Annotated[str, typer.Argument(help="OWNER/NAME; created if it does not exist.")],
    private: Annotated[bool, typer.Option("--private", help="Create it as private.")] = False,
    message: Annotated[str | None, typer.Option(help="Title of the commit.")] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Replace files of the same names that others put there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, then stop.")
    ] = False,
) -> None:
    """Pushes an exported model to the Hub (HF_ENDPOINT, HF_TOKEN) as one commit.

    python -m trainer push model me/scenes-embedder --private
    """
    from trainer.commands.push import run_push

    run_push(directory, repo_id, private=private, message=message, adopt=adopt, dry_run=dry_run)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove the cached features.")] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Shows where features of frozen towers are cached and their size, or removes them."""
    from trainer.encoders.feature_cache import FeatureCache, default_cache_dir

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


def main() -> None:
    """Runs a command; an error a user can meet is one line on stderr and an exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("trainer").setLevel(logging.INFO)
    set_environment_defaults()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # what it would log, our errors say
    run(lambda: run_app(app, SCRIPT))
