"""The training loop of the dual encoder."""

import logging
import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.batching import Batch, PairTable, draw_batches
from trainer.config import TrainConfig
from trainer.corpus import Corpus
from trainer.encoders.dual import DualEncoder
from trainer.errors import DivergedError, NoRowsError
from trainer.item_features import ItemFeatures
from trainer.loss import two_way_info_nce
from trainer.pairs import DIRECTIONS, Pair, images_of, texts_of, training_pairs
from trainer.progress import progress_bar

_LOG = logging.getLogger(__name__)

LOG_EVERY_STEPS = 100
_WARMUP_SHARE = 0.05
_MAX_GRADIENT_NORM = 1.0

# B queries, N candidates, D embedding


def select_pairs(config: TrainConfig, corpus: Corpus) -> list[Pair]:
    """The pairs a config trains on.

    Raises:
        NoRowsError: None in these languages and modality combinations.
    """
    pairs = training_pairs(corpus, config.modalities, config.languages)
    if not pairs:
        available = {pair.language for pair in training_pairs(corpus, config.modalities, None)}
        raise NoRowsError(corpus.dataset, corpus.split, config.languages, sorted(available))
    return pairs


def make_model(config: TrainConfig, features: ItemFeatures) -> DualEncoder:
    """The encoder before its first step; its weights depend on the seed alone."""
    return DualEncoder(
        features.text_TF.shape[1],
        features.image_IF.shape[1],
        embedding_dim=config.embedding_dim,
        dropout=config.dropout,
        seed=config.seed,
    )


def train(
    config: TrainConfig, corpus: Corpus, pairs: Sequence[Pair], features: ItemFeatures
) -> DualEncoder:
    """Trains on pairs of a corpus; the same arguments give the same weights on one machine.

    Args:
        config: Everything that shapes the run.
        corpus: Where the pairs come from; knows the group of an image.
        pairs: At least one; see `select_pairs`.
        features: Features of every item of the pairs.

    Returns:
        The trained encoder, in evaluation mode.

    Raises:
        DivergedError: The loss became infinite or not a number.
    """
    model = make_model(config, features)
    tables = [
        PairTable(chosen, features, corpus.group_of)
        for direction in DIRECTIONS
        if (chosen := [pair for pair in pairs if pair.direction == direction])
    ]
    _fit_scales(model, pairs, features)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _learning_rate_share(step, config.num_steps)
    )
    batches = draw_batches(tables, config.batch_size, config.seed)
    model.train()
    losses: list[float] = []
    num_pairs, started = 0, time.perf_counter()
    with torch.random.fork_rng(devices=[]), progress_bar("steps", config.num_steps) as advance:
        torch.manual_seed(config.seed)  # dropout
        for step in range(1, config.num_steps + 1):
            batch = next(batches)
            query_BD, candidate_ND = _embed(model, batch, features)
            loss = two_way_info_nce(
                query_BD,
                candidate_ND,
                config.temperature,
                batch.masked_BN,
                reverse_weight=config.reverse_weight,
            )
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise DivergedError(step, losses[-1])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            advance(1)
            num_pairs += len(batch.query_B)
            if step % LOG_EVERY_STEPS == 0 or step == config.num_steps:
                _LOG.info(
                    "step=%d/%d loss=%.4f learning_rate=%.6f pairs_per_s=%.0f",
                    step,
                    config.num_steps,
                    sum(losses) / len(losses),
                    schedule.get_last_lr()[0],
                    num_pairs / (time.perf_counter() - started),
                )
                losses.clear()
    return model.eval()


def _embed(model: DualEncoder, batch: Batch, features: ItemFeatures) -> tuple[Tensor, Tensor]:
    """Embeddings of queries and candidates, shapes (B, D) and (N, D)."""
    if batch.direction == "text_to_image":
        query_BD = model.text(features.text_TF[batch.query_B])
        return query_BD, model.image(features.image_IF[batch.candidate_N])
    query_BD = model.image(features.image_IF[batch.query_B])
    return query_BD, model.text(features.text_TF[batch.candidate_N])


def _fit_scales(model: DualEncoder, pairs: Sequence[Pair], features: ItemFeatures) -> None:
    texts = texts_of(pairs)
    images = images_of(pairs)
    model.text.fit_scale(features.text_TF[[features.text_index[text] for text in texts]])
    model.image.fit_scale(features.image_IF[[features.image_index[image] for image in images]])


def _learning_rate_share(step: int, num_steps: int) -> float:
    """Linear warm-up, then a half cosine down to zero."""
    num_warmup = max(1, round(num_steps * _WARMUP_SHARE))
    if step < num_warmup:
        return (step + 1) / num_warmup
    done = (step - num_warmup) / max(1, num_steps - num_warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
