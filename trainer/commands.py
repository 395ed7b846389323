"""What each command does, once its options are a config."""

import errno
import os
import time
from pathlib import Path

from rich.console import Console

from trainer.compare import compare
from trainer.config import (
    CompareConfig,
    DatasetConfig,
    EncoderChoice,
    EvaluateConfig,
    TrainConfig,
    save_config,
)
from trainer.corpus import load_corpus
from trainer.encoders.choice import make_towers
from trainer.encoders.tower import Towers
from trainer.evaluate import describe, measure
from trainer.export import load_encoder, save_encoder
from trainer.feature_cache import FeatureCache, default_cache_dir
from trainer.item_features import compute_item_features
from trainer.pairs import images_of, texts_of
from trainer.plot import plot_recall
from trainer.questions import make_questions
from trainer.report import describe_comparison, recall_table, write_json
from trainer.train import select_pairs
from trainer.train import train as train_encoder


def run_train(config: TrainConfig, output: Path, cache_dir: Path | None) -> None:
    """Trains one encoder and exports it to `output`."""
    console = Console(soft_wrap=True)
    _make_output(output)
    corpus = load_corpus(config.dataset.path, config.dataset.revision, "train")
    pairs = select_pairs(config, corpus)
    cache = _cache(cache_dir)
    towers = _towers(config.encoder, cache, console)
    images = {sha256: corpus.images[sha256] for sha256 in images_of(pairs)}
    features = compute_item_features(towers, texts_of(pairs), images, cache)
    model = train_encoder(config, corpus, pairs, features)
    save_encoder(model, towers, config, len(pairs), output)
    console.print(
        f"trained on {len(pairs)} pairs in {len({pair.language for pair in pairs})} languages; "
        f"the encoder is in {output}"
    )


def run_evaluate(
    config: EvaluateConfig,
    dataset: DatasetConfig,
    model: Path,
    output: Path,
    cache_dir: Path | None,
) -> None:
    """Measures an exported encoder and writes `evaluation.json`."""
    console = Console(soft_wrap=True)
    _make_output(output)
    encoder = load_encoder(model)
    corpus = load_corpus(dataset.path, dataset.revision, "validation")
    questions = make_questions(corpus, config.num_candidates, config.candidate_seed)
    texts = list(dict.fromkeys(question.text for question in questions.questions))
    images = {sha256: corpus.images[sha256] for sha256 in questions.candidate_images}
    features = compute_item_features(encoder.towers, texts, images, _cache(cache_dir))
    measurement = measure(encoder.model, features, questions, config.k)
    report = {"dataset": dataset.model_dump(), **describe(measurement, questions, config)}
    save_config(config, output)
    write_json(report, output / "evaluation.json")
    low, high = report["interval"]
    console.print(
        f"recall@{config.k} {report['mean']:.3f} ({low:.3f} to {high:.3f}) over "
        f"{len(measurement.languages)} languages, {report['num_candidates']} candidates, "
        f"chance {report['chance']:.3f}; per language in {output / 'evaluation.json'}"
    )


def run_compare(config: CompareConfig, output: Path, cache_dir: Path | None) -> None:
    """Trains and measures every arm; writes `recall.json` and `recall.png`."""
    console = Console(soft_wrap=True)
    started = time.perf_counter()
    _make_output(output)
    dataset = config.train.dataset
    train_corpus = load_corpus(dataset.path, dataset.revision, "train")
    held_out = load_corpus(dataset.path, dataset.revision, "validation")
    loaded = time.perf_counter()
    cache = _cache(cache_dir)
    towers = _towers(config.train.encoder, cache, console)
    comparison = compare(config, train_corpus, held_out, towers, cache)
    comparison.seconds = {"load": loaded - started, **comparison.seconds}
    comparison.seconds["total"] = time.perf_counter() - started
    report = describe_comparison(comparison, config)
    save_config(config, output)
    write_json(report, output / "recall.json")
    plot_recall(report, output / "recall.png")
    console.print(recall_table(report), soft_wrap=False)
    seconds = ", ".join(f"{part} {value:.0f} s" for part, value in comparison.seconds.items())
    console.print(f"{seconds}; {output / 'recall.json'}, {output / 'recall.png'}")


def _make_output(directory: Path) -> None:
    """Makes the output's directory, before hours of work rather than after."""
    directory.mkdir(parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


def _towers(choice: EncoderChoice, cache: FeatureCache, console: Console) -> Towers:
    towers = make_towers(choice)
    console.print(f"encoder {towers.kind}: {towers.note}")
    if towers.text.is_slow or towers.image.is_slow:
        console.print(f"features are kept in {cache.directory}; see `python -m trainer cache`")
    return towers


def _cache(directory: Path | None) -> FeatureCache:
    return FeatureCache(directory or default_cache_dir())
