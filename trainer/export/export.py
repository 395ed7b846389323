"""Exports a trained encoder: whole or not at all, and read again before it is called done."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from schemas.errors import naming
from schemas.versions import Version
from trainer.config import CONFIG_NAME, save_config
from trainer.encoders.encoder import Encoder
from trainer.export.card import model_card
from trainer.export.facts import TrainedModel
from trainer.export.probe import Probe, what_is_wrong
from trainer.export.record import (
    CARD_NAME,
    RECORD_NAME,
    ExportError,
    ExportRecord,
    FileRecord,
    parse_record,
)

if TYPE_CHECKING:
    from trainer.train import TrainResult

EVALUATION_NAME = "evaluation.json"
_HALF_NAME = ".export.half"
#: What the run itself puts into the directory before the export.
_OF_THE_RUN = frozenset({CONFIG_NAME, EVALUATION_NAME})
#: Names that every export has; files of these names without a record are something else's.
_TELLING = (CARD_NAME, "modules.json", "config.json", "model.safetensors")
_MIN_COSINE = 0.99999
#: Merging an adapter in bfloat16 rounds every weight to eight bits, and the export may be read
#: in another type than it was trained in.
_MIN_COSINE_BFLOAT16 = 0.99


def export(
    encoder: Encoder,
    directory: Path,
    *,
    result: "TrainResult",
    version: Version,
    probe: Probe,
    report: Mapping[str, Any] | None = None,
    licence: str | None = None,
    title: str | None = None,
    load: Callable[[Path], Encoder] | None = None,
) -> None:
    """Writes an encoder into a directory that `SentenceTransformer(directory)` then reads.

    It is written into a folder there, read again, compared with the encoder in
    memory, and only then put into place, instead of an earlier export. Other
    files of the directory, such as checkpoints and logs, stay.

        probe = take_probe(encoder, corpus.rows, corpus.images)
        result = train(config, corpus, encoder, output=output)
        export(encoder, output, result=result, version=corpus.version, probe=probe)

    Args:
        encoder: As trained.
        directory: Of the run; see `check_place`.
        result: Result of the run.
        version: What it was trained on.
        probe: Taken before the first step.
        report: Content of an `evaluation.json`, for the card; goes along.
        licence: For the card's head.
        title: Of the card.
        load: Reads an export again; `load_encoder` when None.

    Raises:
        ExportError: The export is not the model that was trained, or other files are in its
            place. The directory is as before then.
    """
    if load is None:
        from trainer.encoders.choice import load_encoder as load
    model = TrainedModel.of(encoder, result, version, report, licence)
    half = directory / _HALF_NAME
    with naming(half):
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
    try:
        encoder.save(half)
        save_config(model.config, half)
        if report is not None:
            _write_evaluation(report, half)
        card = model_card(model, half, title or f"Embedder trained on {model.data.label}")
        (half / CARD_NAME).write_text(card, encoding="utf-8")
        is_trained = result.num_steps > 0 and result.best_step != 0
        _check_vectors(encoder, load(half), directory, probe, is_trained=is_trained)
        _put_into_place(half, directory, ExportRecord.of(half, model.data.label))
    finally:
        shutil.rmtree(half, ignore_errors=True)


def check_place(directory: Path) -> None:
    """Refuses a directory that holds something else than a run; call it before the training.

    Raises:
        ExportError: Names what is there.
    """
    if directory.exists() and not directory.is_dir():
        raise ExportError(directory, "is a file", "Name a directory.")
    if _record_of(directory) is None:
        _refuse_strange(directory, [name for name in _TELLING if (directory / name).exists()])


def _check_vectors(
    encoder: Encoder, reloaded: Encoder, directory: Path, probe: Probe, *, is_trained: bool
) -> None:
    dtypes = {parameter.dtype for parameter in encoder.parameters()}
    is_exact = dtypes <= {torch.float32, torch.float64}
    what = what_is_wrong(
        probe.before_PD,
        probe.embed(encoder),
        probe.embed(reloaded),
        min_cosine=_MIN_COSINE if is_exact else _MIN_COSINE_BFLOAT16,
        is_trained=is_trained,
    )
    if what is not None:
        raise ExportError(
            directory,
            f"the export was given up, for {what}",
            "The checkpoints are kept. Check --tune and --learning-rate; if they are right, "
            "report the model's name as a bug.",
        )


def _put_into_place(half: Path, directory: Path, record: ExportRecord) -> None:
    """Moves an export's files out of their folder; a kill in between leaves a record that says so.

    Raises:
        ExportError: Files that no export put there are in the way.
    """
    before = _record_of(directory)
    known = before.files if before else {}
    new = record.files.keys() - known.keys() - _OF_THE_RUN
    _refuse_strange(directory, sorted(name for name in new if os.path.lexists(directory / name)))
    union: dict[str, FileRecord] = {**known, **record.files}
    moving = record.model_copy(update={"files": union, "is_whole": False})
    with naming(directory):
        _sync(half)
        _write_record(moving, directory)
        for name in known.keys() - record.files.keys():
            (directory / name).unlink(missing_ok=True)
        for name in record.files:
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (half / name).replace(target)
        _sync_folders(directory, record)
        _write_record(record, directory)


def _refuse_strange(directory: Path, names: list[str]) -> None:
    if names:
        raise ExportError(
            directory,
            f"holds {', '.join(names)} of something else",
            "Name another --output, or move these files away.",
        )


def _record_of(directory: Path) -> ExportRecord | None:
    path = directory / RECORD_NAME
    return parse_record(path.read_bytes()) if path.is_file() else None


def _write_record(record: ExportRecord, directory: Path) -> None:
    half = directory / f".{RECORD_NAME}.half"
    with half.open("wb") as file:
        file.write(record.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    half.replace(directory / RECORD_NAME)
    _sync_folder(directory)


def _write_evaluation(report: Mapping[str, Any], directory: Path) -> None:
    from trainer.evaluate.report import write_json

    write_json(dict(report), directory / EVALUATION_NAME)


def _sync(directory: Path) -> None:
    """Makes sure that every file is on disk before it gets its place."""
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _sync_folders(directory: Path, record: ExportRecord) -> None:
    for folder in {(directory / name).parent for name in record.files}:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
