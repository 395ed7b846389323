"""`trainer evaluate`: an exported model on held-out rows or on a benchmark."""

import logging
from pathlib import Path
from typing import Any

from rich.console import Console

from trainer.commands.train import make_output
from trainer.config import EvaluateConfig, save_config
from trainer.data.corpus import load_corpus
from trainer.data.picture_check import check_pictures
from trainer.encoders.choice import load_encoder
from trainer.encoders.encoder import Encoder
from trainer.evaluate.report import evaluation_tables, sentences, write_report
from trainer.evaluate.validation import evaluate_validation

_LOG = logging.getLogger(__name__)

EVALUATE_CONFIG_NAME = "evaluate_config.json"


def run_evaluate(
    config: EvaluateConfig, *, suite: str, data: str, model: Path, output: Path
) -> None:
    """Measures an exported encoder; writes `evaluation.json` and a plot.

    Args:
        config: How.
        suite: "validation", "mmeb", "xtd", or a file of your own.
        data: The version for "validation"; where the benchmark's files are for the others.
        model: Directory of the exported model or of the training run.
        output: Directory to write to.
    """
    console = Console(soft_wrap=True)
    make_output(output)
    encoder = load_encoder(model)
    report = _measure(encoder, config, suite, data)
    save_config(config, output, EVALUATE_CONFIG_NAME)
    write_report(report, output)
    for table in evaluation_tables(report):
        console.print(table, soft_wrap=False)
    for sentence in sentences(report):
        console.print(sentence, markup=False, highlight=False)
    console.print(f"everything is in {output}", markup=False, highlight=False)


def _measure(encoder: Encoder, config: EvaluateConfig, suite: str, data: str) -> dict[str, Any]:
    if suite == "validation":
        corpus = check_pictures(load_corpus(data, "validation"))
        for skipped in corpus.skipped:
            _LOG.warning("%s", skipped)
        return evaluate_validation(encoder, corpus, config)
    from trainer.evaluate.suites import evaluate_suite

    return evaluate_suite(encoder, suite, data, config)
