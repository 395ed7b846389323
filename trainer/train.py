"""The training loop: one path for every row and every model."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.batch_loss import batch_loss
from trainer.checkpoint import Checkpoints, RunProgress, fingerprint
from trainer.config import TrainConfig
from trainer.data.batching import Batch, BatchSampler, make_batch
from trainer.data.corpus import Corpus
from trainer.data.fit import FittedRows, fit_rows
from trainer.data.items import Item, Row
from trainer.data.known_positives import KnownPositives
from trainer.data.select import select_rows
from trainer.distributed import Ranks
from trainer.encoders.encoder import Encoder, Pictures, Prepared
from trainer.errors import DivergedError, NoRowsError
from trainer.grad_cache import backward
from trainer.logs import RunLog
from trainer.memory import Chunking
from trainer.optimizer import Temperature, learning_rate_share, parameter_groups
from trainer.progress import progress_bar
from trainer.resolve import resolve

_LOG = logging.getLogger(__name__)

CHECKPOINT_FOLDER = "checkpoints"
_NUM_LINES = 20
_NUM_CHECKPOINTS = 10
_NUM_PREPARING = 8

# I items, A items of all ranks, D embedding

#: Measures the encoder while it trains; higher is better.
Measure = Callable[[Encoder], float]


@dataclass(slots=True)
class TrainResult:
    """Result of a run.

    Args:
        config: As it ran, with every default filled in.
        num_rows: Rows it trained on, after splitting for the model.
        num_published_rows: Rows of the version they came from.
        languages: Of those rows.
        losses: Of every step of this process, in nats.
        note: What the model could not take, one sentence, or None.
        num_steps: Steps the run has, those before a resume included.
        best_step: Step whose weights the encoder now has, where it was measured.
        best_metric: What it measured then.
        temperature: After training.
    """

    config: TrainConfig
    num_rows: int
    num_published_rows: int
    languages: list[str]
    num_steps: int
    note: str | None = None
    losses: list[float] = field(default_factory=list)
    best_step: int | None = None
    best_metric: float | None = None
    temperature: float = math.nan


def train(
    config: TrainConfig,
    corpus: Corpus,
    encoder: Encoder,
    *,
    output: Path | None = None,
    measure: Measure | None = None,
    ranks: Ranks | None = None,
    fresh: bool = False,
) -> TrainResult:
    """Trains an encoder in place on the rows of a version.

    The same arguments give the same weights on one machine. With `output`, a
    run that was stopped resumes from its newest checkpoint and ends as if it
    had never stopped.

    Args:
        config: What was decided; the encoder's defaults fill in the rest.
        corpus: Split "train" of a version.
        encoder: Fresh from `make_encoder`.
        output: Holds checkpoints, log and curves; None keeps nothing.
        measure: Called every `eval_steps`; the best weights are kept.
        ranks: This process among those of the run.
        fresh: Starts over instead of resuming.

    Raises:
        NoRowsError: No row is left in these languages and cells, or for this model.
        ResumeError: `output` holds a run with other settings.
        DivergedError: The loss or a gradient became infinite or NaN.
        OutOfMemoryError: A step does not fit, even in parts.
    """
    ranks = ranks or Ranks()
    chosen = select_rows(
        corpus.rows,
        languages=config.languages,
        cells=config.cells,
        max_rows=config.max_rows,
        seed=config.seed,
        dataset=corpus.version.label,
    )
    fitted = fit_rows(chosen, encoder.takes)
    if not fitted.rows:
        raise NoRowsError(
            corpus.version.label,
            "train",
            languages=config.languages,
            cells=config.cells,
            available_languages=sorted({row.language for row in chosen}),
            available_cells=sorted({row.cell for row in chosen}),
            encoder_takes=sorted(encoder.takes),
        )
    config, sampler = resolve(config, encoder, fitted.rows, corpus)
    assert config.num_steps is not None
    result = TrainResult(
        config,
        len(fitted.rows),
        len(chosen),
        sorted({row.language for row in fitted.rows}),
        config.num_steps,
        note=fitted.describe(),
    )
    run = _Run(config, corpus, encoder, fitted, sampler, ranks)
    if ranks.is_first:
        _announce(result, corpus, run)
    run.train(result, output, measure, fresh=fresh)
    return result


class _Run:
    """One training run: rows, model, optimiser and schedule, wired together."""

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        encoder: Encoder,
        fitted: FittedRows,
        sampler: BatchSampler,
        ranks: Ranks,
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.rows = fitted.rows
        self.pictures: Pictures = corpus.images
        self.version = corpus.version.label
        self.sampler = sampler
        self.ranks = ranks
        self.known = KnownPositives(fitted.rows, corpus.group_of)
        self.temperature = Temperature(config).to(ranks.device)
        self.chunking = Chunking(config.max_chunk_tokens, ranks.world_size)

    def train(
        self, result: TrainResult, output: Path | None, measure: Measure | None, *, fresh: bool
    ) -> None:
        config, encoder, ranks = self.config, self.encoder, self.ranks
        checkpoints = self._checkpoints(output)  # before anything changes the encoder
        encoder.train()
        encoder.to(ranks.device)
        encoder.precompute(_embedded_items(self.rows, config), self.pictures)
        model = nn.ModuleDict({"encoder": encoder, "temperature": self.temperature})
        optimizer = torch.optim.AdamW(
            parameter_groups(encoder, self.temperature, config),
            lr=config.learning_rate or 0.0,
            fused=True,
        )
        num_steps = result.num_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_share(step, num_steps, config.warmup_share)
        )
        progress = RunProgress()
        with torch.random.fork_rng(devices=_cuda_devices(ranks)):
            torch.manual_seed(config.seed + ranks.rank)  # dropout
            if checkpoints is not None:
                if fresh and ranks.is_first:
                    checkpoints.clear()
                ranks.wait()
                progress = checkpoints.resume(model, optimizer, schedule) or progress
            if progress.step:
                _LOG.info("resumed after step %d of %d", progress.step, num_steps)
                self.sampler.load_state_dict(progress.sampler)
            log_directory = output if ranks.is_first else None
            line_steps = config.log_steps or max(1, num_steps // _NUM_LINES)
            with (
                RunLog(
                    log_directory, progress.step, num_steps=num_steps, line_steps=line_steps
                ) as log,
                progress_bar("steps", num_steps - progress.step) as advance,
            ):
                self._loop(
                    model, optimizer, schedule, progress, result, checkpoints, measure, log, advance
                )
        if checkpoints is not None and progress.best_step is not None:
            checkpoints.load_best(model)
        result.best_step, result.best_metric = progress.best_step, progress.best_metric
        result.temperature = self.temperature().item()
        encoder.eval()

    def _loop(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        progress: RunProgress,
        result: TrainResult,
        checkpoints: Checkpoints | None,
        measure: Measure | None,
        log: RunLog,
        advance: Callable[[int], None],
    ) -> None:
        config, num_steps = self.config, result.num_steps
        save_steps = config.save_steps or max(1, num_steps // _NUM_CHECKPOINTS)
        eval_steps = config.eval_steps or max(1, num_steps // _NUM_CHECKPOINTS)
        model.train()
        # Once: walking through the modules of a frozen tower takes longer than a gradient's sum.
        trained = [each for each in model.parameters() if each.requires_grad]
        trained_of_encoder = [each for each in self.encoder.parameters() if each.requires_grad]
        for batch, items, sampler_state in self._prepared_batches(num_steps - progress.step):
            started = time.perf_counter()
            step = progress.step + 1
            loss = self.chunking.run(
                items,
                lambda max_tokens, batch=batch, items=items: backward(
                    self.encoder, items, lambda own_ID: self._loss(own_ID, batch), max_tokens
                ),
                on_retry=lambda: optimizer.zero_grad(set_to_none=True),
            ).item()
            self.ranks.sum_gradients(trained_of_encoder)
            norm = nn.utils.clip_grad_norm_(trained, config.max_gradient_norm).item()
            if not (math.isfinite(loss) and math.isfinite(norm)):
                kept = checkpoints.newest() if checkpoints else None
                raise DivergedError(step, loss if math.isfinite(norm) else norm, kept)
            rate = float(schedule.get_last_lr()[0])
            try:
                optimizer.step()
            except RuntimeError as exc:  # a learning rate that float32 cannot hold
                if "overflow" not in str(exc):
                    raise
                raise DivergedError(step, loss, None) from exc
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            progress.step, progress.sampler = step, sampler_state
            result.losses.append(loss)
            seconds = time.perf_counter() - started
            log.step(
                step,
                loss=loss,
                learning_rate=rate,
                gradient_norm=norm,
                temperature=self.temperature().item(),
                queries_per_s=batch.num_rows / seconds,
                tokens_per_s=sum(item.num_tokens for item in items)
                * self.ranks.world_size
                / seconds,
            )
            advance(1)
            is_last = step == num_steps
            if measure is not None and self.ranks.is_first and (step % eval_steps == 0 or is_last):
                self._measure(model, measure, progress, checkpoints, log)
            if checkpoints and self.ranks.is_first and (step % save_steps == 0 or is_last):
                checkpoints.save(model, optimizer, schedule, progress)

    def _measure(
        self,
        model: nn.Module,
        measure: Measure,
        progress: RunProgress,
        checkpoints: Checkpoints | None,
        log: RunLog,
    ) -> None:
        model.eval()
        value = measure(self.encoder)
        model.train()
        log.measure(progress.step, "validation", value)
        if progress.best_metric is None or value > progress.best_metric:
            progress.best_metric, progress.best_step = value, progress.step
            if checkpoints is not None:
                checkpoints.save_best(model, progress.step)

    def _loss(self, own_ID: Tensor, batch: Batch) -> Tensor:
        """The loss of a whole batch from this rank's embeddings."""
        embedding_AD = self.ranks.gather(own_ID, len(batch.queries) + len(batch.candidates))
        return batch_loss(embedding_AD, batch, self.temperature(), self.config.loss)

    def _prepared_batches(
        self, num_steps: int
    ) -> Iterator[tuple[Batch, list[Prepared], dict[str, Any]]]:
        """Batches with this rank's items prepared, one ahead of the step that runs.

        The sampler's state comes along, for it is ahead too.
        """

        def prepare(item: Item) -> Prepared:
            return self.encoder.prepare(item, self.pictures)

        def draw(pool: ThreadPoolExecutor) -> tuple[Batch, list[Prepared], dict[str, Any]]:
            rows = [self.rows[number] for number in self.sampler.draw()]
            state = self.sampler.state_dict()
            batch = make_batch(
                rows,
                self.known,
                hard_negatives=self.config.loss.hard_negatives is not False,
                attract_known=self.config.batching == "concept",
            )
            return batch, list(pool.map(prepare, self.ranks.share(batch.items))), state

        with (
            ThreadPoolExecutor(_NUM_PREPARING, "prepare") as pool,
            ThreadPoolExecutor(1, "draw") as drawer,
        ):
            upcoming = drawer.submit(draw, pool) if num_steps else None
            for step in range(num_steps):
                assert upcoming is not None
                ready = upcoming.result()
                upcoming = drawer.submit(draw, pool) if step + 1 < num_steps else None
                yield ready

    def _checkpoints(self, output: Path | None) -> Checkpoints | None:
        if output is None:
            return None
        return Checkpoints(
            output / CHECKPOINT_FOLDER,
            keep=self.config.keep_checkpoints,
            identity=fingerprint(self.config, self.rows, self.version, self.encoder.fingerprint()),
        )


def _announce(result: TrainResult, corpus: Corpus, run: _Run) -> None:
    """Logs what is trained on what, before the first slow part."""
    config, encoder = result.config, run.encoder
    trained = sum(each.numel() for each in encoder.parameters() if each.requires_grad)
    _LOG.info(
        "training %s (%s; %s weights trained) on %s: %s rows, %s languages, %s",
        config.model.name,
        encoder.note.rstrip("."),
        f"{trained:,}",
        corpus.version.label,
        f"{result.num_published_rows:,}",
        len(result.languages),
        f"{result.num_steps:,} steps of {config.batch_size:,}, batches by {config.batching}",
    )
    if result.note:
        _LOG.info("%s", result.note)


def _embedded_items(rows: Sequence[Row], config: TrainConfig) -> list[Item]:
    """Distinct items that a run embeds."""
    with_negatives = config.loss.hard_negatives is not False
    return list(
        dict.fromkeys(
            item
            for row in rows
            for item in (row.items if with_negatives else (row.query, row.positive))
        )
    )


def _cuda_devices(ranks: Ranks) -> list[torch.device]:
    return [ranks.device] if ranks.device.type == "cuda" else []
