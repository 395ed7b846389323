"""`trainer compare`: which version, or which part of one, makes the better model."""

from pathlib import Path

from rich.console import Console

from trainer.commands.train import make_output
from trainer.compare.config import HARD_NEGATIVES, CompareConfig
from trainer.compare.finished_runs import FinishedRuns
from trainer.compare.plot import plot_comparison
from trainer.compare.report import (
    PLOT_NAME,
    REPORT_NAME,
    describe_comparison,
    recall_table,
    sentences,
)
from trainer.compare.run import compare
from trainer.config import save_config
from trainer.encoders.choice import make_encoder, resolve_name
from trainer.evaluate.report import write_json

COMPARE_CONFIG_NAME = "compare_config.json"
_FINISHED_FOLDER = "runs"


def run_compare(config: CompareConfig, output: Path) -> None:
    """Trains and measures every arm; writes `recall.json` and `recall.png`.

    Runs that an earlier, stopped comparison finished are not done again.
    """
    console = Console(soft_wrap=True)
    make_output(output)
    train = config.train.model_copy(update={"model": resolve_name(config.train.model)})
    if HARD_NEGATIVES in config.without and train.loss.hard_negatives is None:
        # What is left out in one arm has to be there in the other.
        loss = train.loss.model_copy(update={"hard_negatives": True})
        train = train.model_copy(update={"loss": loss})
    config = config.model_copy(update={"train": train})
    comparison = compare(config, make_encoder, FinishedRuns(output / _FINISHED_FOLDER))
    report = describe_comparison(comparison, config)
    save_config(config, output, COMPARE_CONFIG_NAME)
    write_json(report, output / REPORT_NAME)
    plot_comparison(report, output / PLOT_NAME)
    console.print(recall_table(report), soft_wrap=False)
    for sentence in sentences(report):
        console.print(sentence, markup=False, highlight=False)
    seconds = ", ".join(f"{part} {value:.0f} s" for part, value in comparison.seconds.items())
    console.print(
        f"{seconds}; {output / REPORT_NAME}, {output / PLOT_NAME}", markup=False, highlight=False
    )
