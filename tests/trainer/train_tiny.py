"""Trains the tiny encoder on a release, also in a process of its own, so that it can be killed.

Usage: python -m tests.trainer.train_tiny RELEASE OUTPUT [--kill-at STEP] [--tokens N] [--dropout P]
"""

import argparse
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.trainer.tiny_encoder import TinyEncoder
from trainer.checkpoint import trainable_state
from trainer.config import LossConfig, TrainConfig
from trainer.data.corpus import load_corpus
from trainer.distributed import joined_ranks
from trainer.encoders.encoder import Encoder
from trainer.train import train


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("release")
    parser.add_argument("output", type=Path)
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--batching", default="mixed")
    given = parser.parse_args(arguments)
    config = TrainConfig(
        dataset=given.release,
        loss=LossConfig(learn_temperature=True, reverse_weight=0.3, matryoshka_dims=(8,)),
        num_steps=24,
        batch_size=16,
        save_steps=5,
        eval_steps=6,
        max_chunk_tokens=given.tokens,
        batching=given.batching,
        seed=4,
    )
    num_measured = 0

    def measure(encoder: Encoder) -> float:
        nonlocal num_measured
        num_measured += 1
        if given.kill_at and num_measured * 6 >= given.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        weight = next(encoder.parameters())
        return float(weight.detach().double().abs().sum())

    with joined_ranks() as ranks:
        encoder = TinyEncoder(dropout=given.dropout)
        corpus = load_corpus(given.release, "train")
        result = train(config, corpus, encoder, output=given.output, measure=measure, ranks=ranks)
        if ranks.is_first:
            import torch

            torch.save(
                {"weights": trainable_state(encoder), "losses": result.losses},
                given.output / "result.pt",
            )


if __name__ == "__main__":
    main()
