"""What each part of the recipe for the compact encoder brings, in recall@10 of held-out concepts.

    python -m benchmarks.recall_gains demo/workspace/releases/0.2.0 [--seeds 0 1 2] [--no-lora]
    python -m benchmarks.recall_gains demo/workspace/releases/0.2.0 --first-line 5 --steps 100

Every line of the table adds one change to the line above it, and is trained with the same seeds and
measured on the same held-out concepts: recall expected over all draws of 300 candidates, the gain
with an interval over seeds and concepts, as `trainer compare` reports it. Features are computed
once, of every layer and size; an arm without one has heads that do not see its columns.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.machine import describe_machine
from trainer.compare.config import CompareConfig
from trainer.compare.statistics import difference
from trainer.compare.yardstick import Yardstick
from trainer.config import ModelConfig, TrainConfig
from trainer.data.corpus import Corpus, load_corpus
from trainer.data.image_store import ImageStore
from trainer.data.items import Item, Row
from trainer.encoders.compact import make_compact_encoder
from trainer.encoders.dual import DualEncoder, default_cache
from trainer.evaluate.questions import pairing
from trainer.portable.heads import Head
from trainer.train import train

# B items, F features, D embedding

_PACKAGES = ("torch", "transformers", "peft")
#: Features of the last layer alone; they come first among those of a tower.
_LAST_TEXT_LAYER, _LAST_IMAGE_LAYER = 384, 1280
#: Of all layers of a picture's largest size.
_ONE_SIZE = _LAST_IMAGE_LAYER + 424
_LORA_STEPS = 12


class FirstColumns(Head):
    """A head that sees the first features alone, as if its tower gave no others."""

    def fit_scale(self, features_BF: Tensor) -> None:
        super().fit_scale(features_BF[:, : len(self.mean_F)])

    def forward(self, features_BF: Tensor) -> Tensor:
        return super().forward(features_BF[:, : len(self.mean_F)])


@dataclass(frozen=True)
class Arm:
    """One line of the table.

    Args:
        change: What it adds to the line above.
        has_all_rows: Also answers and the texts of documents.
        has_concepts: Batches by concept, with several positives.
        num_image_features: That the image head sees, the first ones; None for all.
        num_text_features: The same of texts.
        has_lora: Trains the text tower on from the heads of the line above.
    """

    change: str
    has_all_rows: bool = False
    has_concepts: bool = False
    num_image_features: int | None = _LAST_IMAGE_LAYER
    num_text_features: int | None = _LAST_TEXT_LAYER
    has_lora: bool = False


_BASE = Arm("heads on text-image pairs, last layers, mixed batches")
_ROWS = replace(_BASE, change="+ answers and document texts", has_all_rows=True)
_CONCEPTS = replace(_ROWS, change="+ batches by concept, several positives", has_concepts=True)
_IMAGES = replace(_CONCEPTS, change="+ several image layers", num_image_features=_ONE_SIZE)
_SIZES = replace(_IMAGES, change="+ two sizes of each picture", num_image_features=None)
_TEXTS = replace(_SIZES, change="+ several text layers", num_text_features=None)
_LORA = replace(_TEXTS, change=f"+ {_LORA_STEPS} steps of LoRA on the text tower", has_lora=True)
ARMS = (_BASE, _ROWS, _CONCEPTS, _IMAGES, _SIZES, _TEXTS, _LORA)


@dataclass
class Measured:
    """Of one arm, by seed."""

    recalls: list[float] = field(default_factory=list)
    influences: list[NDArray[np.float64]] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


def main() -> None:
    """Trains every arm with every seed and prints the table."""
    options = _parse()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trainer.train").setLevel(logging.WARNING)
    logging.getLogger("trainer.logs").setLevel(logging.WARNING)
    images = ImageStore()
    validation = load_corpus(options.dataset, "validation", images=images)
    corpus = load_corpus(validation.version, "train", images=images)
    config = TrainConfig(dataset=options.dataset, num_steps=options.steps)
    encoder = make_compact_encoder(ModelConfig())
    yardstick = Yardstick(
        CompareConfig(train=config, versions=(options.dataset,)), validation, encoder
    )
    arms = (ARMS if options.lora else ARMS[:-1])[options.first_line - 1 :]
    measured = {arm.change: Measured() for arm in arms}
    for seed in options.seeds:
        for arm in arms:
            seen = measured[arm.change]
            started = time.process_time()
            if arm.has_lora:
                encoder = _train_lora(encoder, corpus, config, seed)
            else:
                encoder = _train_heads(arm, encoder, corpus, config, seed)
            seen.cpu_s.append(time.process_time() - started)
            answers = yardstick.measure(encoder)
            seen.recalls.append(answers.expected.mean)
            seen.influences.append(answers.expected.influence_U)
            logging.info("seed=%d recall=%.4f %s", seed, answers.expected.mean, arm.change)
        if options.lora:  # LoRA has changed the towers
            encoder = make_compact_encoder(ModelConfig())
    _print(measured, options, corpus, yardstick)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", help="a release directory or OWNER/NAME@X.Y.Z")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="of the heads (default: the encoder's own)")
    parser.add_argument(
        "--first-line",
        type=int,
        choices=range(1, len(ARMS) - 1),
        default=1,
        help="of the table; earlier changes are in every arm, and not measured alone (default: 1)",
    )
    parser.add_argument("--lora", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    if len(set(options.seeds)) < 3:
        parser.error(
            "give at least 3 different seeds: with fewer a gain cannot be told from chance"
        )
    return options


def _train_heads(
    arm: Arm, encoder: DualEncoder, corpus: Corpus, config: TrainConfig, seed: int
) -> DualEncoder:
    assert encoder.restart(seed)
    model = encoder.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if arm.num_text_features is not None:
            model.text_head = _narrow(model.text_head, arm.num_text_features)
        if arm.num_image_features is not None:
            model.image_head = _narrow(model.image_head, arm.num_image_features)
    if not arm.has_all_rows:
        corpus = replace(corpus, rows=_pairs(corpus.rows))
    batching = "concept" if arm.has_concepts else "mixed"
    train(config.model_copy(update={"seed": seed, "batching": batching}), corpus, encoder)
    return encoder


def _narrow(head: torch.nn.Module, num_features: int) -> FirstColumns:
    assert isinstance(head, Head)
    return FirstColumns(num_features, head.linear.out_features, head.dropout)


def _train_lora(heads: DualEncoder, corpus: Corpus, config: TrainConfig, seed: int) -> DualEncoder:
    """LoRA from trained heads, as the demo trains it."""
    encoder = DualEncoder(
        heads.model, note="LoRA from trained heads", tune="lora", seed=seed, cache=default_cache()
    )
    loss = config.loss.model_copy(update={"hard_negatives": False})
    settings = {"num_steps": _LORA_STEPS, "batch_size": 64, "learning_rate": 3e-4}
    train(config.model_copy(update={**settings, "seed": seed, "loss": loss}), corpus, encoder)
    return encoder


def _pairs(rows: Sequence[Row]) -> list[Row]:
    """Rows that pair a text with an image, each as that pair alone."""
    found: list[Row] = []
    for row in rows:
        if (pair := pairing(row)) is not None:
            text, image = pair
            item = replace(row, modality="T->I", query=Item(text=text), negatives=())
            found.append(replace(item, positive=Item(image=image)))
    return found


def _print(
    measured: dict[str, Measured],
    options: argparse.Namespace,
    corpus: Corpus,
    yardstick: Yardstick,
) -> None:
    table = Table(title=f"recall@{yardstick.k}, text to image", title_justify="left")
    table.add_column("change", no_wrap=True)
    for name in ("mean", "by seed", "gain over the line above", "95 % interval", "CPU s a run"):
        table.add_column(name, justify="right")
    above: Measured | None = None
    for change, seen in measured.items():
        gain, interval = "", ""
        if above is not None:
            found = difference(np.stack(seen.influences), np.stack(above.influences))
            gain = f"{found.mean:+.3f}"
            interval = "{:+.3f} to {:+.3f}".format(*found.interval)
        table.add_row(
            change,
            f"{statistics.mean(seen.recalls):.3f}",
            " ".join(f"{recall:.3f}" for recall in seen.recalls),
            gain,
            interval,
            f"{statistics.median(seen.cpu_s):.0f}",
        )
        above = seen
    console = Console(width=150)
    console.print(table)
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    lines = (
        f"{corpus.version.label}, {len(corpus.rows):,} training rows; seeds "
        f"{', '.join(map(str, options.seeds))}; {yardstick.num_queries:,} queries in "
        f"{len(yardstick.num_queries_by_stratum)} languages over {yardstick.num_candidates} "
        f"of {yardstick.num_concepts} held-out concepts, expected over all draws; "
        f"chance {yardstick.chance:.3f}.",
        f"{describe_machine()}; {versions}.",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
