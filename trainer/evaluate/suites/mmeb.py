"""Suite "mmeb": the 36 subsets of MMEB, hit@1 and means as published.

Both layouts are read: TIGER-Lab/MMEB-eval (arXiv:2410.05160), whose texts
hold the instruction, and ziyjiang/MMEB_Test_Instruct (arXiv:2507.04590), which
has it in columns of its own. Each subset is a folder with `test*.parquet`;
pictures are beside it, see `files`.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import EvaluateConfig
from trainer.encoders.encoder import Encoder
from trainer.evaluate.outcomes import Outcomes, join
from trainer.evaluate.report import describe_suite
from trainer.evaluate.suites.files import Benchmark, SuiteError, open_benchmark, read_rows
from trainer.evaluate.suites.image_files import ImageFiles
from trainer.evaluate.suites.lists import (
    LeftOut,
    Question,
    QuestionList,
    Side,
    measure_lists,
    nothing_measured,
)
from trainer.evaluate.suites.mmeb_subsets import META_TASKS, OUT_OF_DOMAIN, TASK_OF
from trainer.evaluate.suites.texts import (
    after_instruction,
    common_instruction,
    joined,
    without_image_token,
)

_LOG = logging.getLogger(__name__)

_PATTERNS = ("*/test*.parquet", "images.zip", "image-tasks/mmeb_v1.tar.gz")
_REQUIRED = ("qry_text", "tgt_text")
_OPTIONAL = ("qry_inst", "qry_img_path", "tgt_inst", "tgt_img_path")
_REMEDY = (
    "Put the pictures of images.zip into a folder images beside the subsets, and use a model that "
    "takes their kind of input."
)


def evaluate_mmeb(
    encoder: Encoder, data: str, config: EvaluateConfig, *, max_chunk_tokens: int | None = None
) -> dict[str, Any]:
    """Measures an encoder on every subset that is there; returns a report for JSON.

    Right is the first candidate of a row, and each copy of it; hit@1 only, and
    means over subsets without weights, as published. A subset that is missing
    or cannot be measured is named, and the mean's title says how many are in it.

    Args:
        encoder: Stays as it is.
        data: Directory or Hub repository.
        config: The number of resamples; `k` is 1 here.

    Raises:
        SuiteError: No subset is there, or a file lacks a column.
        NothingToMeasureError: No question of any subset can be measured.
    """
    benchmark = open_benchmark(data, _PATTERNS)
    files = _files_of(benchmark)
    images = ImageFiles(benchmark.places())
    every = LeftOut()
    notes: list[str] = []
    measured: dict[str, Outcomes] = {}
    num_rows = 0
    for number, (subset, paths) in enumerate(files.items(), start=1):
        left_out = LeftOut()
        asked = read_subset(subset, paths, left_out, takes_fused="IT" in encoder.takes)
        num_rows += len(asked.questions) + left_out.total
        outcomes = measure_lists(
            encoder, asked, images, 1, left_out, max_chunk_tokens=max_chunk_tokens
        )
        notes += [f"{subset}: {sentence}" for sentence in left_out.sentences()]
        _merge(every, left_out)
        if outcomes is None:
            _LOG.info("MMEB %d/%d %s: nothing measured", number, len(files), subset)
            continue
        measured[subset] = outcomes
        hit = float(outcomes.is_hit_Q.mean())
        _LOG.info("MMEB %d/%d %s: hit@1 %.3f", number, len(files), subset, hit)
    if not measured:
        raise nothing_measured(benchmark.label, every, _REMEDY)
    if missing := [subset for subset in TASK_OF if subset not in measured]:
        notes.append(
            f"{len(missing)} of {len(TASK_OF)} subsets are not in the means: {', '.join(missing)}."
        )
    return {
        "suite": "mmeb",
        "data": benchmark.label,
        "commit": benchmark.commit,
        "split": "test",
        "num_rows": num_rows,
        "left_out": dict(every.counts),
        "notes": notes,
        "sections": _sections(measured, config.num_resamples),
    }


def read_subset(
    subset: str, paths: Sequence[Path], left_out: LeftOut, *, takes_fused: bool
) -> QuestionList:
    """Questions of one subset, of either layout.

    The first edition's instruction is told from its texts by being in all of
    them. A candidate keeps its instruction as text, as published, where the
    model takes picture and text as one; otherwise the picture alone is used.

    Args:
        subset: Its name.
        paths: Its Parquet files.
        left_out: Counts rows without a right candidate.
        takes_fused: Whether the model takes picture and text as one.
    """
    rows = [row for path in paths for row in read_rows(path, _REQUIRED, _OPTIONAL)]
    queries = [without_image_token(row["qry_text"]) for row in rows]
    is_told_apart = any(row.get("qry_inst") is not None for row in rows)
    instruction = "" if is_told_apart else _query_instruction(rows, queries)
    target_instruction = "" if takes_fused else _target_instruction(rows)
    asked = QuestionList()
    for number, (row, text) in enumerate(zip(rows, queries, strict=True)):
        where = f"{subset}, row {number}"
        targets = _targets(row, target_instruction, takes_fused=takes_fused)
        if not targets:
            left_out.add("no candidates", where)
            continue
        places = np.array([asked.place(side) for side in targets], dtype=np.int64)
        asked.questions.append(
            Question(
                where,
                _query(row, text, instruction),
                places,
                (int(places[0]),),
                {
                    "subset": subset,
                    "task": TASK_OF[subset],
                    "domain": "out" if subset in OUT_OF_DOMAIN else "in",
                },
                # Rows of different subsets have nothing in common, so that drawing them
                # together costs nothing, and makes the draw 36 times smaller.
                unit=number,
            )
        )
    return asked


def _query_instruction(rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> str:
    """What all queries begin with; texts that are all equal count only beside pictures."""
    if len(set(texts)) < 2 and not any(row.get("qry_img_path") for row in rows):
        return ""
    return common_instruction(texts)


def _query(row: dict[str, Any], text: str, instruction: str) -> Side:
    own = without_image_token(row.get("qry_inst"))
    image = row.get("qry_img_path") or None
    rest = after_instruction(text, instruction)
    if not rest and image is None:
        return Side(own or None, text or None)
    return Side(joined(own, instruction), rest or None, image)


def _targets(row: dict[str, Any], instruction: str, *, takes_fused: bool) -> list[Side]:
    """The row's candidates; the right one is first."""
    texts = [without_image_token(text) for text in row["tgt_text"] or ()]
    images = row.get("tgt_img_path") or []
    images = [images] if isinstance(images, str) else images
    if len(images) > len(texts):  # the second edition may have one text for all of them
        texts += [""] * (len(images) - len(texts))
    images = [*images, *[None] * (len(texts) - len(images))]
    own = without_image_token(row.get("tgt_inst"))
    sides: list[Side] = []
    for text, image in zip(texts, images, strict=True):
        if image and takes_fused:
            sides.append(Side(None, joined(own, text), image))
        elif image:
            rest = after_instruction(text, instruction) if text.startswith(instruction) else text
            sides.append(Side(None, rest or None, image))
        else:
            sides.append(Side(None, text or None))
    return sides


def _target_instruction(rows: Iterable[dict[str, Any]]) -> str:
    """What the texts of all candidates with a picture begin with."""
    texts = [
        without_image_token(text)
        for row in rows
        for text, image in zip(row["tgt_text"] or (), row.get("tgt_img_path") or (), strict=False)
        if image
    ]
    return common_instruction(texts) if texts else ""


def _files_of(benchmark: Benchmark) -> dict[str, list[Path]]:
    """Parquet files by subset, in the order of `META_TASKS`."""
    found = {
        subset: sorted((benchmark.directory / subset).glob("test*.parquet")) for subset in TASK_OF
    }
    there = {subset: paths for subset, paths in found.items() if paths}
    if not there:
        raise SuiteError(
            benchmark.label,
            "none of MMEB's subsets is there (folders such as ImageNet-1K with test*.parquet)",
            "Name a copy of TIGER-Lab/MMEB-eval or ziyjiang/MMEB_Test_Instruct.",
        )
    return there


def _merge(every: LeftOut, left_out: LeftOut) -> None:
    for reason, count in left_out.counts.items():
        every.counts[reason] = every.counts.get(reason, 0) + count
        every.examples.setdefault(reason, left_out.examples[reason])


def _sections(measured: dict[str, Outcomes], num_resamples: int) -> dict[str, Any]:
    """The mean over all subsets, over each meta-task, and in and out of domain."""
    groups = {"all": [*TASK_OF], **{task: [*subsets] for task, subsets in META_TASKS.items()}}
    groups["in-domain"] = [subset for subset in TASK_OF if subset not in OUT_OF_DOMAIN]
    groups["out-of-domain"] = [subset for subset in TASK_OF if subset in OUT_OF_DOMAIN]
    sections: dict[str, Any] = {}
    for name, subsets in groups.items():
        there = [subset for subset in subsets if subset in measured]
        if there:
            title = f"MMEB {name}, {len(there)} of {len(subsets)} subsets"
            sections[name.replace(" ", "_").replace("-", "_")] = describe_suite(
                join([measured[subset] for subset in there]),
                title,
                kinds=("subset",) if name in META_TASKS else (),
                mean_kind="subset",
                num_resamples=num_resamples,
            )
    return sections
