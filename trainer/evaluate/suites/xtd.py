"""Suite "xtd": XTD-10, captions in seven languages to find a photograph, recall@10.

The layout is that of Haon-Chen/XTD-10 (arXiv:2012.05107; mmE5, arXiv:2502.08468): a folder
of Parquet files for each language, pictures beside them, see `files`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import EvaluateConfig
from trainer.encoders.encoder import Encoder
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
from trainer.evaluate.suites.texts import (
    after_instruction,
    common_instruction,
    without_image_token,
)

#: The languages of the published mean.
LANGUAGES = ("it", "es", "ru", "zh", "pl", "tr", "ko")
_PATTERNS = ("*/*.parquet", "XTD10_dataset.tar.gz")
_COLUMNS = ("qry_text", "tgt_text", "tgt_img_path")
_REMEDY = "Extract XTD10_dataset.tar.gz beside the languages' folders."


def evaluate_xtd(
    encoder: Encoder, data: str, config: EvaluateConfig, *, max_chunk_tokens: int | None = None
) -> dict[str, Any]:
    """Measures an encoder on every language that is there; returns a report for JSON.

    Right is the first candidate of a row, and each copy of it. The mean is that
    over languages; captions of one photograph are resampled together.

    Args:
        encoder: Stays as it is.
        data: Directory or Hub repository.
        config: `k`, 10 as published, and the number of resamples.

    Raises:
        SuiteError: No language is there, or a file lacks a column.
        NothingToMeasureError: No question can be measured.
    """
    benchmark = open_benchmark(data, _PATTERNS)
    asked = QuestionList()
    left_out = LeftOut()
    files = _files_of(benchmark)
    for language, paths in files.items():
        _read_language(asked, language, paths, left_out, takes_fused="IT" in encoder.takes)
    num_rows = len(asked.questions) + left_out.total
    images = ImageFiles(benchmark.places())
    outcomes = measure_lists(
        encoder, asked, images, config.k, left_out, max_chunk_tokens=max_chunk_tokens
    )
    if outcomes is None:
        raise nothing_measured(benchmark.label, left_out, _REMEDY)
    notes = left_out.sentences()
    there = {str(language) for language in outcomes.labels["language"]}
    if missing := [language for language in LANGUAGES if language not in there]:
        notes.append(f"Not in the mean: {', '.join(missing)}.")
    if lowered := sorted({int(k) for k in outcomes.k_Q} - {config.k}):
        shown = ", ".join(map(str, lowered))
        notes.append(f"Measured at k = {shown} instead of {config.k}, for too few candidates.")
    section = describe_suite(
        outcomes,
        f"XTD-10, {len(there)} of {len(LANGUAGES)} languages",
        kinds=("language",),
        mean_kind="language",
        num_resamples=config.num_resamples,
    )
    return {
        "suite": "xtd",
        "data": benchmark.label,
        "commit": benchmark.commit,
        "split": "test",
        "num_rows": num_rows,
        "left_out": dict(left_out.counts),
        "notes": notes,
        "sections": {"xtd": section},
    }


def _read_language(
    asked: QuestionList,
    language: str,
    paths: list[Path],
    left_out: LeftOut,
    *,
    takes_fused: bool,
) -> None:
    """Adds the questions of one language."""
    rows = [row for path in paths for row in read_rows(path, _COLUMNS)]
    texts = [without_image_token(row["qry_text"]) for row in rows]
    instruction = common_instruction(texts) if len(set(texts)) > 1 else ""
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        where = f"{language}, row {number}"
        pairs = list(zip(row["tgt_text"] or (), row["tgt_img_path"] or (), strict=False))
        if not pairs:
            left_out.add("no candidates", where)
            continue
        places: list[int] = []
        for target_text, image in pairs:
            kept = without_image_token(target_text) if takes_fused else ""
            places.append(asked.place(Side(None, kept or None, image or None)))
        rest = after_instruction(text, instruction)
        query = Side(instruction, rest) if instruction and rest else Side(None, text or None)
        asked.questions.append(
            Question(
                where,
                query,
                np.array(places, dtype=np.int64),
                (places[0],),
                {"language": language},
                unit=places[0],
            )
        )


def _files_of(benchmark: Benchmark) -> dict[str, list[Path]]:
    found = {
        language: sorted((benchmark.directory / language).glob("*.parquet"))
        for language in LANGUAGES
    }
    there = {language: paths for language, paths in found.items() if paths}
    if not there:
        raise SuiteError(
            benchmark.label,
            "none of XTD's languages is there (folders it, es, ru, zh, pl, tr, ko)",
            "Name a copy of Haon-Chen/XTD-10.",
        )
    return there
