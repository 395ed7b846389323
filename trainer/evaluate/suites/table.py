"""A table of your own as a suite: JSON Lines or Parquet, one question per row.

| column | what |
|---|---|
| `query` | a text, or an object with any of `instruction`, `text`, `image` |
| `positive` | what answers it: a text, an object with `text`, `image` or both, or a list of them |
| `candidates` | wrong answers to choose among, a list of the same kind; where a row has none, it |
| | chooses among every document of the table |
| `language` `task` | optional; figures are given for each |

`image` is a path below the table's folder, or below `--data`. In Parquet, objects are structs.

    {"query": "a red circle", "positive": {"image": "red.png"}, "language": "en"}
    {"query": {"text": "Which colour?", "image": "red.png"}, "positive": "red",
     "candidates": ["green", "blue"], "task": "vqa"}
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import EvaluateConfig
from trainer.encoders.encoder import Encoder
from trainer.evaluate.report import describe_suite
from trainer.evaluate.suites.files import Benchmark, SuiteError, read_rows
from trainer.evaluate.suites.image_files import ImageFiles
from trainer.evaluate.suites.lists import (
    LeftOut,
    Question,
    QuestionList,
    Side,
    measure_lists,
    nothing_measured,
)
from trainer.evaluate.suites.texts import without_image_token

_REQUIRED = ("query", "positive")
_OPTIONAL = ("candidates", "language", "task")
_KINDS = ("language", "task")
_UNSAID = "unsaid"
_PARTS = frozenset({"instruction", "text", "image"})
_MAX_LINE_CHARS = 16 << 20
_MAX_LABELS = 1000


def evaluate_table(
    encoder: Encoder,
    file: str,
    data: str,
    config: EvaluateConfig,
    *,
    max_chunk_tokens: int | None = None,
) -> dict[str, Any]:
    """Measures an encoder on a table; returns a report for JSON.

    The mean is that over languages where the table names several, else that
    over questions. Rows with equal query are one question with several right
    answers.

    Args:
        encoder: Stays as it is.
        file: Ends in .jsonl or .parquet.
        data: Folder of the pictures; "" for the table's own.
        config: `k`, lowered where there are few candidates, and the number of resamples.

    Raises:
        SuiteError: The file cannot be read; names row and remedy.
        NothingToMeasureError: No question can be measured.
    """
    path = Path(file).expanduser()
    asked = _read_table(path)
    left_out = LeftOut()
    folder = Path(data).expanduser() if data else path.parent
    if not folder.is_dir():
        raise SuiteError(data, "no such directory", "Give --data the pictures' folder.")
    images = ImageFiles(Benchmark(folder, folder.name).places())
    outcomes = measure_lists(
        encoder, asked, images, config.k, left_out, max_chunk_tokens=max_chunk_tokens
    )
    if outcomes is None:
        raise nothing_measured(
            path.name, left_out, "Add candidates, or use a model that takes these inputs."
        )
    notes = left_out.sentences()
    if (num_lowered := int((outcomes.k_Q < config.k).sum())) > 0:
        notes.append(
            f"{num_lowered:,} questions are measured at a k below {config.k}, as they have few "
            "candidates."
        )
    kinds = [kind for kind in _KINDS if set(outcomes.labels[kind].tolist()) != {_UNSAID}]
    has_languages = len(set(outcomes.labels["language"].tolist())) > 1
    section = describe_suite(
        outcomes,
        f"{path.name}, {len(asked.documents):,} documents",
        kinds=kinds,
        mean_kind="language" if has_languages else None,
        num_resamples=config.num_resamples,
    )
    return {
        "suite": "table",
        "data": path.name,
        "commit": None,
        "split": None,
        "num_rows": len(asked.questions),
        "left_out": dict(left_out.counts),
        "notes": notes,
        "sections": {"table": section},
    }


def _read_table(path: Path) -> QuestionList:
    """Questions of a table; those without candidates choose among all its documents."""
    asked = QuestionList()
    merged: dict[tuple[Side, tuple[str, ...]], _Row] = {}
    labels_seen: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    for where, content in _rows(path):
        try:
            row = _Row.of(where, content, asked)
        except _RowProblem as exc:
            raise SuiteError(
                path.name,
                f"row {where}: {exc}",
                'Write {"query": …, "positive": …, "candidates": […]}, each a text or an object '
                "with text and image.",
            ) from exc
        for kind in _KINDS:
            labels_seen[kind].add(row.labels[kind])
            if len(labels_seen[kind]) > _MAX_LABELS:
                raise SuiteError(
                    path.name,
                    f"more than {_MAX_LABELS:,} different values in `{kind}`",
                    "Put names of groups there, not of questions.",
                )
        known = merged.setdefault((row.query, (*row.labels.values(),)), row)
        if known is not row:
            known.right |= row.right
            known.listed |= row.listed
    for number, row in enumerate(merged.values()):
        listed = dict.fromkeys([*row.right, *row.listed])
        asked.questions.append(
            Question(
                f"row {row.where}",
                row.query,
                np.array([*listed], dtype=np.int64) if row.listed else None,
                tuple(row.right),
                row.labels,
                unit=number,
            )
        )
    return asked


class _RowProblem(ValueError):
    """What is wrong with a row, as a clause."""


class _Row:
    """A row of the table; right answers and wrong candidates by place."""

    def __init__(
        self,
        where: int,
        query: Side,
        right: dict[int, None],
        listed: dict[int, None],
        labels: dict[str, str],
    ) -> None:
        self.where = where
        self.query = query
        self.right = right
        self.listed = listed
        self.labels = labels

    @classmethod
    def of(cls, where: int, content: dict[str, Any], asked: QuestionList) -> "_Row":
        """Checks a row.

        Raises:
            _RowProblem: Says what is wrong.
        """
        query = _side(content.get("query"), "query")
        right = [_side(each, "positive") for each in _listed(content.get("positive"))]
        wrong = [_side(each, "candidates") for each in _listed(content.get("candidates"))]
        if not right:
            raise _RowProblem("`positive` is empty")
        labels = {kind: _label(content.get(kind), kind) for kind in _KINDS}
        places = [dict.fromkeys(map(asked.place, sides)) for sides in (right, wrong)]
        return cls(where, query, places[0], places[1], labels)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row numbers, from 1, and contents.

    Raises:
        SuiteError: The file is not there, or not of either kind.
    """
    if not path.is_file():
        remedy = "Name mmeb, xtd, validation, or a file that ends in .jsonl or .parquet."
        raise SuiteError(str(path), "no such suite and no such file", remedy)
    if path.suffix == ".parquet":
        yield from enumerate(read_rows(path, _REQUIRED, _OPTIONAL), start=1)
        return
    if path.suffix not in (".jsonl", ".ndjson"):
        raise SuiteError(path.name, "neither .jsonl nor .parquet", "Convert it to one of them.")
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        number = 0
        while line := file.readline(_MAX_LINE_CHARS):
            number += 1
            if not line.strip():
                continue
            try:
                content = json.loads(line)
            except (ValueError, RecursionError) as exc:
                what = f"line {number} is not JSON, or longer than {_MAX_LINE_CHARS:,} characters"
                raise SuiteError(path.name, what, "Write one object per line.") from exc
            if not isinstance(content, dict):
                raise SuiteError(
                    path.name, f"line {number} is not an object", "Write one object per line."
                )
            yield number, content


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _side(value: Any, column: str) -> Side:
    """A text or an object as a side.

    Raises:
        _RowProblem: It is neither, or empty.
    """
    parts = {"text": value} if isinstance(value, str) else value
    if not isinstance(parts, dict):
        raise _RowProblem(f"`{column}` has no text and no object")
    if unknown := sorted(set(parts) - _PARTS):
        raise _RowProblem(f"`{column}` has a part {str(unknown[0])[:40]!r}")
    for name, part in parts.items():
        if not isinstance(part, str | None):
            raise _RowProblem(f"`{name}` of `{column}` is not a text")
    text = without_image_token(parts.get("text")) or None
    image = parts.get("image") or None
    if text is None and image is None:
        raise _RowProblem(f"`{column}` is empty")
    return Side(parts.get("instruction") or None, text, image)


def _label(value: Any, kind: str) -> str:
    if value is None or value == "":
        return _UNSAID
    if not isinstance(value, str) or not value.isprintable() or len(value) > 64:
        raise _RowProblem(f"`{kind}` is not a short text")
    return value
