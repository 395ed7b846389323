"""A training's config with every default of the model filled in."""

import logging
import math
from collections.abc import Sequence

from trainer.config import TrainConfig
from trainer.data.batching import BatchSampler
from trainer.data.corpus import Corpus
from trainer.data.items import Row
from trainer.encoders.encoder import Encoder

_LOG = logging.getLogger(__name__)

#: Batches by concept. Few concepts are too few negatives: of the demo's concepts left out of
#: training (recall@10), twelve steps of LoRA with 16 concepts of four texts end at 0.365 from heads
#: at 0.373, with 64 of one text at 0.378; heads with 128 of four at 0.357, 256 of two at 0.367.
_MIN_CONCEPTS = 256
_MAX_TEXTS_PER_CONCEPT = 4


def resolve(
    config: TrainConfig, encoder: Encoder, rows: Sequence[Row], corpus: Corpus
) -> tuple[TrainConfig, BatchSampler]:
    """The config with every default of the model filled in, and the batches it makes."""
    defaults = encoder.defaults
    batching = config.batching or defaults.batching
    wanted = config.batch_size or defaults.batch_size
    batch_size = min(wanted, len(rows))
    if batch_size < wanted:
        _LOG.info("a batch of %d is larger than the data: it has %d rows", wanted, len(rows))
    texts_per_concept = config.texts_per_concept or max(
        1, min(_MAX_TEXTS_PER_CONCEPT, batch_size // _MIN_CONCEPTS)
    )
    sampler = BatchSampler(
        rows,
        corpus.group_of,
        batching=batching,
        batch_size=batch_size,
        texts_per_concept=texts_per_concept,
        seed=config.seed,
    )
    num_steps = config.num_steps
    num_epochs = config.num_epochs
    if num_steps is None and num_epochs is None:
        num_steps, num_epochs = defaults.num_steps, defaults.num_epochs
    if num_steps is None:
        num_steps = max(1, math.ceil((num_epochs or 1.0) * sampler.batches_per_epoch))
    loss = config.loss
    filled = loss.model_copy(
        update={
            "temperature": loss.temperature or defaults.temperature,
            "reverse_weight": (
                defaults.reverse_weight if loss.reverse_weight is None else loss.reverse_weight
            ),
            "hard_negatives": (
                defaults.hard_negatives if loss.hard_negatives is None else loss.hard_negatives
            ),
        }
    )
    resolved = config.model_copy(
        update={
            "batching": batching,
            "batch_size": batch_size,
            "texts_per_concept": texts_per_concept,
            "num_steps": num_steps,
            "num_epochs": None,
            "learning_rate": config.learning_rate or defaults.learning_rate,
            "weight_decay": (
                defaults.weight_decay if config.weight_decay is None else config.weight_decay
            ),
            "loss": filled,
        }
    )
    return resolved, sampler
