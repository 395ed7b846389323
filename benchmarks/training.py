"""Steps of LoRA on a vision-language model: this trainer beside sentence-transformers and others.

    python -m benchmarks.training [--shape smolvlm] [--device cpu] [--threads 2]
    python -m benchmarks.training --shape qwen2-vl-2b --device cuda
    python -m benchmarks.training --shape qwen2-vl-2b --layers 1 --pairs 4 --image-side 56

Random weights in a published shape; the same rows, LoRA and temperature for all; every text finds
its picture, which has one hard negative. Inputs are prepared beforehand: what is timed is the
step on the model (embedding, loss, gradients, AdamW). Settings take turns in random order, and
the first round is not counted. The last form is a dry run of the GPU's benchmark.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from benchmarks.machine import describe_machine
from benchmarks.training_arms import Ours, SentenceTransformers
from benchmarks.training_library import Arm, Library, Model
from benchmarks.training_loops import BareModel, Vlm2VecLoop
from benchmarks.training_models import SHAPES, Shape, save_model
from benchmarks.training_rows import Rows, make_rows

_MAX_TOKENS = 256
#: The libraries' own end token comes on top.
_MAX_TEXT_TOKENS = 250
_NUM_CHECKED_PAIRS = 16
_PACKAGES = ("torch", "transformers", "peft", "sentence-transformers")
_PEER = SentenceTransformers.name


@dataclass(frozen=True)
class Settings:
    """What is tried of each library on one kind of machine."""

    chunk_tokens: Sequence[int]
    mini_batches: Sequence[int]
    mini_batch_tokens: Sequence[int]


_SETTINGS: Mapping[str, Settings] = {
    "cpu": Settings((512, 1024), (4, 16), (512, 1024)),
    "cuda": Settings((16_384, 32_768, 65_536), (8, 32, 128), (16_384, 32_768, 65_536)),
}


@dataclass
class Measured:
    """What was seen of one setting.

    Args:
        seconds: Of each counted step.
        cpu_s: Of this process, the same steps; other processes disturb it little.
        cosine: Of its gradients with those of a plain float32 pass.
        peak_gib: Memory of the GPU.
        problem: Why it was not measured.
    """

    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    cosine: float | None = None
    peak_gib: float = 0.0
    problem: str | None = None

    def pairs_per_s(self, num_pairs: int) -> float:
        return num_pairs / statistics.median(self.seconds)


def main() -> None:
    """Runs the benchmark and prints its table."""
    arguments = _parse()
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    shape = _reduced(SHAPES[arguments.shape], arguments)
    device = torch.device(arguments.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        save_model(shape, directory, dtype)
        model = Model(shape, directory, dtype, device)
        tokenizer = AutoTokenizer.from_pretrained(directory).backend_tokenizer
        rows = make_rows(tokenizer, shape.num_pairs, shape.image_side_px, _MAX_TEXT_TOKENS)
        libraries, problems = _load(model, _SETTINGS[device.type], with_loop=arguments.vlm2vec)
        measured = {arm: Measured() for library in libraries for arm in library.arms()}
        _check_gradients(measured, libraries, rows, model)
        _prepare(libraries, rows)
        _race(measured, arguments.rounds)
    loads = (load_before, os.getloadavg()[0])
    console = Console(width=150)
    console.print(_table(measured, shape, arguments), highlight=False)
    for line in [*problems, *_about(arguments, device, loads)]:
        console.print(line, highlight=False, soft_wrap=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="smolvlm")
    parser.add_argument("--device", choices=_SETTINGS, default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, help="in a batch, instead of the shape's")
    parser.add_argument("--layers", type=int, help="of each tower, instead of the shape's")
    parser.add_argument("--image-side", type=int, help="in pixels, instead of the shape's")
    parser.add_argument(
        "--vlm2vec",
        action=argparse.BooleanOptionalAction,
        help="also a loop as VLM2Vec has it (default: for qwen2-vl-2b)",
    )
    arguments = parser.parse_args()
    if arguments.vlm2vec is None:
        arguments.vlm2vec = arguments.shape == "qwen2-vl-2b"
    return arguments


def _reduced(shape: Shape, arguments: argparse.Namespace) -> Shape:
    if arguments.layers:
        depth = "depth" if "depth" in shape.vision else "num_hidden_layers"
        text = {**shape.text, "num_hidden_layers": arguments.layers}
        shape = replace(shape, text=text, vision={**shape.vision, depth: arguments.layers})
    return replace(
        shape,
        num_pairs=arguments.pairs or shape.num_pairs,
        image_side_px=arguments.image_side or shape.image_side_px,
    )


def _load(model: Model, settings: Settings, *, with_loop: bool) -> tuple[list[Library], list[str]]:
    """The libraries that this installation can run, and why others are missing."""
    libraries: list[Library] = [Ours(model, _MAX_TOKENS, settings.chunk_tokens)]
    problems: list[str] = []
    try:
        peer = SentenceTransformers(model, settings.mini_batches, settings.mini_batch_tokens)
        libraries.append(peer)
    except (ImportError, ValueError) as exc:
        reason = " ".join(str(exc).split())[:160]
        problems.append(f"{_PEER}: not measured, it cannot load this model ({reason})")
    if with_loop:
        libraries += [Vlm2VecLoop(model, dora=dora) for dora in (False, True)]
    if model.device.type == "cpu":  # on a GPU a plain float32 pass of the whole batch has no room
        libraries.append(BareModel(model))
    return libraries, problems


def _prepare(libraries: Sequence[Library], rows: Rows) -> None:
    """Gives all libraries the same items; those without a collator take ours."""
    ours = next(each for each in libraries if isinstance(each, Ours))
    ours.prepare(rows)
    for library in libraries:
        if isinstance(library, BareModel | Vlm2VecLoop):
            library.take(ours.items)
        elif isinstance(library, SentenceTransformers):
            library.prepare(rows)
            if library.token_ids() != [list(item.token_ids) for item in ours.items]:
                raise AssertionError(f"{_PEER} and polyscene embed different tokens")


def _check_gradients(
    measured: Mapping[Arm, Measured], libraries: Sequence[Library], rows: Rows, model: Model
) -> None:
    """Compares gradients of the first rows with a plain pass in float32, of DoRA with DoRA's."""
    few = replace(rows, rows=rows.rows[:_NUM_CHECKED_PAIRS])
    for has_dora in sorted({library.has_dora for library in libraries}):
        reference = BareModel(replace(model, dtype=torch.float32), dora=has_dora)
        _prepare([*libraries, reference], few)
        with reference.on_device():
            wanted = reference.gradients(*reference.arms())
        del reference
        for library, arms in _by_library(measured).items():
            if library.has_dora == has_dora:
                with library.on_device():
                    for arm in arms:
                        measured[arm].cosine = _cosine(library.gradients(arm), wanted)
    print("gradients compared", file=sys.stderr)


def _by_library(arms: Mapping[Arm, Measured]) -> dict[Library, list[Arm]]:
    found: dict[Library, list[Arm]] = {}
    for arm in arms:
        found.setdefault(arm.library, []).append(arm)
    return found


def _cosine(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> float:
    """Of all LoRA weights that the reference has, as one vector."""
    missing = wanted.keys() - found.keys()
    if missing:
        raise AssertionError(f"{len(missing)} weights have no gradient, such as {min(missing)}")
    dot, found_norm, wanted_norm = 0.0, 0.0, 0.0
    for name, want in wanted.items():
        left, right = found[name].double().flatten(), want.double().flatten()
        dot += float(left @ right)
        found_norm += float(left @ left)
        wanted_norm += float(right @ right)
    return dot / (found_norm * wanted_norm) ** 0.5


def _race(measured: Mapping[Arm, Measured], num_rounds: int) -> None:
    """Times steps of all settings in turn; the first round is not counted."""
    order = random.Random(0)
    for number in range(num_rounds + 1):
        for arm in order.sample(list(measured), len(measured)):
            seen = measured[arm]
            if seen.problem is None:
                with arm.library.on_device(), _no_room_is_told(seen):
                    _time_step(arm, seen, counted=number > 0)
        print(f"round {number} of {num_rounds} done", file=sys.stderr)


def _time_step(arm: Arm, seen: Measured, *, counted: bool) -> None:
    on_cuda = arm.library.model.device.type == "cuda"
    if on_cuda:
        arm.library.step(arm)  # the model has just come: kernels are chosen, AdamW's states made
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    begin, cpu_begin = time.perf_counter(), time.process_time()
    arm.library.step(arm)
    if on_cuda:
        torch.cuda.synchronize()
        seen.peak_gib = max(seen.peak_gib, torch.cuda.max_memory_allocated() / 2**30)
    if counted:
        seen.seconds.append(time.perf_counter() - begin)
        seen.cpu_s.append(time.process_time() - cpu_begin)


@contextmanager
def _no_room_is_told(seen: Measured) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        seen.problem = "out of memory"


def _table(measured: Mapping[Arm, Measured], shape: Shape, arguments: argparse.Namespace) -> Table:
    on_cuda = arguments.device == "cuda"
    full = SHAPES[arguments.shape]
    title = (
        f"{arguments.shape}: batch of {shape.num_pairs:,} pairs with 1 hard negative each, "
        f"pictures of {shape.image_side_px} px = {shape.image_tokens()} tokens, "
        f"{shape.text['num_hidden_layers']} of "
        f"{full.text['num_hidden_layers']} layers, LoRA of rank 8"
    )
    table = Table(title=title, title_justify="left")
    for name in ("library", "setting"):
        table.add_column(name, no_wrap=True)
    last = "peak GiB" if on_cuda else "CPU s/step"
    for name in ("pairs/s", "s/step", "fastest", last, "x ST's best", "gradient cosine"):
        table.add_column(name, justify="right")
    for kind in ("plain", "cached"):
        arms = {arm: seen for arm, seen in measured.items() if arm.kind == kind}
        rates = {
            arm: seen.pairs_per_s(shape.num_pairs) for arm, seen in arms.items() if seen.seconds
        }
        best = max((rate for arm, rate in rates.items() if arm.library.name == _PEER), default=None)
        for arm, seen in arms.items():
            cosine = "" if seen.cosine is None else f"{seen.cosine:.7f}"
            if arm not in rates or seen.problem:
                table.add_row(arm.library.name, arm.setting, seen.problem or "", *[""] * 4, cosine)
                continue
            used = f"{seen.peak_gib:.1f}" if on_cuda else f"{statistics.median(seen.cpu_s):.2f}"
            table.add_row(
                arm.library.name,
                arm.setting,
                f"{rates[arm]:.2f}",
                f"{statistics.median(seen.seconds):.2f}",
                f"{min(seen.seconds):.2f}",
                used,
                "" if best is None else f"{rates[arm] / best:.2f}",
                cosine,
            )
        table.add_section()
    return table


def _about(
    arguments: argparse.Namespace, device: torch.device, loads: tuple[float, float]
) -> list[str]:
    """Machine, versions and load; what the columns mean."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    lines = [
        f"Medians of {arguments.rounds} steps, in turns. x ST's best: pairs/s over the best "
        f"{_PEER} setting in the same part of the table. Gradient cosine: LoRA weights, "
        f"{_NUM_CHECKED_PAIRS} pairs, to a plain float32 pass.",
        f"{describe_machine()}, torch threads: {arguments.threads}; {versions}.",
        f"Load average {loads[0]:.1f} before and {loads[1]:.1f} after"
        + (
            f"; this benchmark alone makes about {arguments.threads}."
            if device.type == "cpu"
            else "."
        ),
    ]
    if device.type == "cuda":
        return [*lines, f"GPU: {torch.cuda.get_device_name(device)}, bfloat16 weights."]
    return [*lines, "GPU: not measured (no GPU on this machine)"]


if __name__ == "__main__":
    main()
