"""`trainer train`: from a version to an exported model."""

import errno
import logging
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from schemas.versions import Version
from trainer.config import EvaluateConfig, TrainConfig
from trainer.data.corpus import Corpus, load_corpus
from trainer.data.fit import fit_rows
from trainer.data.picture_check import check_pictures
from trainer.data.select import select_rows
from trainer.distributed import joined_ranks
from trainer.encoders.choice import make_encoder, resolve_name
from trainer.encoders.encoder import Encoder
from trainer.errors import NoHeldOutError
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.report import sentences
from trainer.evaluate.validation import Score, evaluate_validation, make_score
from trainer.evaluate.vectors import Vectors
from trainer.export.export import check_place, export
from trainer.export.probe import take_probe
from trainer.train import TrainResult, train

_LOG = logging.getLogger(__name__)


def run_train(
    config: TrainConfig, version: Version, output: Path, *, fresh: bool, dry_run: bool
) -> None:
    """Trains a model on a version and exports it to `output`; resumes a run that was stopped."""
    console = Console(soft_wrap=True)
    started = time.perf_counter()
    config = config.model_copy(update={"model": resolve_name(config.model)})
    with joined_ranks() as ranks:
        if ranks.is_first and not dry_run:
            make_output(output)
            check_place(output)
        corpus = check_pictures(load_corpus(version, "train"), config.max_unreadable_share)
        for skipped in corpus.skipped if ranks.is_first else ():
            _LOG.warning("%s", skipped)
        encoder = make_encoder(config.model, config.seed)
        if dry_run:
            if ranks.is_first:
                console.print(_plan(config, corpus, encoder))
            return
        held_out = _held_out(config, corpus) if ranks.is_first else None
        probe = take_probe(encoder, corpus.rows, corpus.images) if ranks.is_first else None
        measure = None if held_out is None else _score(held_out, encoder)
        result = train(
            config, corpus, encoder, output=output, measure=measure, ranks=ranks, fresh=fresh
        )
        if not ranks.is_first:
            return
        assert probe is not None
        report = None
        if held_out is not None and measure is not None:
            is_newest = result.best_step == result.num_steps  # what was measured last
            known = measure.vectors if is_newest else None
            report = _evaluate(encoder, held_out, known, console)
        export(encoder, output, result=result, version=corpus.version, probe=probe, report=report)
        console.print(_summary(result, output, time.perf_counter() - started))


def _held_out(config: TrainConfig, corpus: Corpus) -> Corpus | None:
    """The version's held-out rows, or None after logging why nothing is measured."""
    try:
        held_out = load_corpus(corpus.version, "validation")
        return check_pictures(held_out, config.max_unreadable_share)
    except NoHeldOutError as exc:
        _LOG.info("%s Nothing is measured while training.", exc)
        return None


def _score(held_out: Corpus, encoder: Encoder) -> Score | None:
    try:
        return make_score(held_out, EvaluateConfig(), encoder.takes)
    except NothingToMeasureError as exc:
        _LOG.info("%s Nothing is measured while training.", exc)
        return None


def _evaluate(
    encoder: Encoder, held_out: Corpus, known: Vectors | None, console: Console
) -> dict[str, Any]:
    report = evaluate_validation(encoder, held_out, EvaluateConfig(), known=known)
    for sentence in sentences(report):
        console.print(sentence, markup=False, highlight=False)
    return report


def _plan(config: TrainConfig, corpus: Corpus, encoder: Encoder) -> str:
    """Prints what a run would train on, without a step."""
    chosen = select_rows(
        corpus.rows,
        languages=config.languages,
        cells=config.cells,
        max_rows=config.max_rows,
        seed=config.seed,
        dataset=corpus.version.label,
    )
    fitted = fit_rows(chosen, encoder.takes)
    trained = sum(each.numel() for each in encoder.parameters() if each.requires_grad)
    total = sum(each.numel() for each in encoder.parameters())
    languages = {row.language for row in chosen}
    lines = [
        f"dry run: {corpus.version.label}, {len(chosen):,} rows in {len(languages)} languages, "
        f"{len(corpus.images):,} images",
        f"model: {encoder.note} {trained:,} of {total:,} weights would be trained.",
        f"rows as this model takes them: {len(fitted.rows):,}",
    ]
    if note := fitted.describe():
        lines.append(note)
    return "\n".join([*lines, "Nothing was trained or written."])


def make_output(directory: Path) -> None:
    """Creates the output directory before hours of work rather than after."""
    directory.mkdir(parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


def _summary(result: TrainResult, model: Path, seconds: float) -> str:
    best = ""
    if result.best_metric is not None:
        best = f", best {result.best_metric:.3f} on held-out rows after step {result.best_step}"
    return (
        f"trained on {result.num_published_rows:,} rows in {len(result.languages)} languages, "
        f"{result.num_steps:,} steps in {seconds:.0f} s{best}; the model is in {model}, "
        f'which SentenceTransformer("{model}", trust_remote_code=True) reads'
    )
