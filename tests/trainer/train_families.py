"""Trains tiny models of every family in processes that can be killed, one fork each.

Usage: python -m tests.trainer.train_families RELEASE BASES OUTPUT

Everything is imported once; a fork trains whole, another is killed between two steps, a third goes
on from what that one left. `OUTPUT/FAMILY.json` has the exit statuses; the runs' directories lie
beside it.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from tests.trainer.tiny_models import FAMILY_NAMES
from trainer.checkpoint import trainable_state
from trainer.config import ModelConfig, TrainConfig
from trainer.data.corpus import load_corpus
from trainer.encoders.encoder import Encoder
from trainer.encoders.vision_language import VisionLanguageEncoder
from trainer.train import train

NUM_STEPS, KILLED_AFTER = 6, 4


def main() -> None:
    release, bases, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    for family in FAMILY_NAMES:
        statuses = [
            _in_a_fork(release, bases / family, output / family / name, is_killed=is_killed)
            for name, is_killed in (("whole", False), ("killed", True), ("killed", False))
        ]
        (output / f"{family}.json").write_text(json.dumps(statuses))


def _in_a_fork(release: str, base: Path, output: Path, *, is_killed: bool) -> int:
    """Exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            _train(release, base, output, is_killed)
            os._exit(0)
        except BaseException as exc:
            print(f"{base.name}: {exc!r}", file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _train(release: str, base: Path, output: Path, is_killed: bool) -> None:
    torch.set_num_threads(1)  # the pools of the process that was forked are not here
    config = TrainConfig(
        dataset=release, num_steps=NUM_STEPS, batch_size=8, save_steps=2, eval_steps=2, seed=3
    )
    num_measured = 0

    def measure(encoder: Encoder) -> float:
        nonlocal num_measured
        num_measured += 1
        if is_killed and 2 * num_measured >= KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0

    torch.manual_seed(0)
    encoder = VisionLanguageEncoder.from_pretrained(ModelConfig(name=str(base)))
    corpus = load_corpus(release, "train")
    few = replace(corpus, rows=corpus.rows[:64])
    train(config, few, encoder, output=output, measure=measure)
    torch.save(trainable_state(encoder), output / "weights.pt")


if __name__ == "__main__":
    main()
