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

#: Batches by concept: few concepts are too few negatives. Recall@10 of concepts left out of the
#: demo's training split, mean of folds: heads with 128 concepts of four texts 0.357, with 256 of
#: two 0.367; 12 steps of LoRA from heads at 0.372, with 16 of four 0.373, with 64 of one 0.378.
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
