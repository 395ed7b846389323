"""What a model card says: which data, which recipe, which figures; names without local paths."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.manifest import MANIFEST_NAME
from schemas.versions import Version
from trainer.config import ModelConfig, TrainConfig
from trainer.data.items import ItemModality

if TYPE_CHECKING:
    from trainer.encoders.encoder import Encoder
    from trainer.train import TrainResult

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
#: The weights that models built from packages start from.
_BASES = {"compact": ("intfloat/multilingual-e5-small",), "ngram": ()}


@dataclass(frozen=True, slots=True)
class DataInfo:
    """The version a model was trained on.

    Args:
        label: "owner/name@0.2.0", or "name@0.2.0" of a directory.
        repository: OWNER/NAME on the Hub; None for a directory.
        commit: Of the repository.
        manifest_hash: sha256 of `manifest.json`: the same for the same rows, wherever they are.
        teacher_models: Who wrote the texts.
        licences: Rows by licence, as the manifest counts them.
    """

    label: str
    repository: str | None
    commit: str | None
    manifest_hash: str
    teacher_models: tuple[str, ...] = ()
    licences: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, version: Version) -> "DataInfo":
        manifest = version.manifest
        content = (version.directory / MANIFEST_NAME).read_bytes()
        return cls(
            label=version.label,
            repository=version.repository,
            commit=version.commit,
            manifest_hash=hashlib.sha256(content).hexdigest(),
            teacher_models=tuple(manifest.teacher_models),
            licences=dict(manifest.licences),
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Args:
        name: "recall@10".
        value: Its value.
        interval: Ends of its 95 % interval.
        what: What was asked, in words.
        chance: What a random order reaches.
        data: Label of what it was measured on.
        repository: OWNER/NAME of that data, if it is on the Hub.
        commit: Of that data.
        split: Of that data.
        section: Name of what was asked in the report.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    what: str
    chance: float | None
    data: str
    repository: str | None = None
    commit: str | None = None
    split: str | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """Everything a card says beside the layout of the export.

    Args:
        data: What it was trained on.
        config: The resolved config; see `without_paths`.
        note: The encoder's own sentence.
        takes: Items it embeds.
        embedding_dim: Of its vectors.
        num_trained: Weights that were trained.
        num_weights: All weights.
        num_steps: Steps it was trained for.
        num_rows: Rows it was trained on.
        languages: Of those rows.
        left_out: What of the version it could not take, one sentence.
        figures: What was measured.
        licence: Identifier for the card's head; None leaves it out.
    """

    data: DataInfo
    config: TrainConfig
    note: str
    takes: Collection[ItemModality]
    embedding_dim: int
    num_trained: int
    num_weights: int
    num_steps: int
    num_rows: int
    languages: Sequence[str]
    left_out: str | None = None
    figures: Sequence[Figure] = ()
    licence: str | None = None

    @classmethod
    def of(
        cls,
        encoder: "Encoder",
        result: "TrainResult",
        version: Version,
        report: Mapping[str, Any] | None = None,
        licence: str | None = None,
    ) -> "TrainedModel":
        """Facts about a finished run.

        Args:
            encoder: As trained.
            result: Of the run.
            version: What it was trained on.
            report: Content of an `evaluation.json`.
            licence: For the card's head.
        """
        data = DataInfo.of(version)
        parameters = list(encoder.parameters())
        config = without_paths(result.config, data)
        tune = config.model.tune or getattr(encoder, "tune", None)
        config = config.model_copy(update={"model": config.model.model_copy(update={"tune": tune})})
        return cls(
            data=data,
            config=config,
            note=encoder.note,
            takes=encoder.takes,
            embedding_dim=encoder.embedding_dim,
            num_trained=sum(each.numel() for each in parameters if each.requires_grad),
            num_weights=sum(each.numel() for each in parameters),
            num_steps=result.num_steps,
            num_rows=result.num_published_rows,
            languages=result.languages,
            left_out=result.note,
            figures=figures_of(report) if report else (),
            licence=licence,
        )

    @property
    def base_models(self) -> tuple[str, ...]:
        """Names on the Hub of what it was made from."""
        return base_models(self.config.model)


def figures_of(report: Mapping[str, Any]) -> list[Figure]:
    """Recall and nDCG@10 of every section of a report."""
    figures: list[Figure] = []
    data = str(report["data"])
    repository = data.partition("@")[0]
    for section_name, section in report["sections"].items():
        mean = section["mean"]
        low, high = mean["interval"]
        k = section["k"]
        for name, value, interval, chance in (
            (f"recall@{k if isinstance(k, int) else 'k'}", "recall_at_k", (low, high), "chance"),
            ("nDCG@10", "ndcg_at_10", None, None),
        ):
            figures.append(
                Figure(
                    name=name,
                    value=mean[value],
                    interval=interval,
                    what=section["title"],
                    chance=mean[chance] if chance else None,
                    data=data,
                    repository=repository if _REPOSITORY.fullmatch(repository) else None,
                    commit=report.get("commit"),
                    split=report.get("split"),
                    section=section_name,
                )
            )
    return figures


def without_paths(config: TrainConfig, data: DataInfo) -> TrainConfig:
    """The config as it may be published: data by its label, a local model by its last name."""
    name = config.model.name
    if name not in _BASES:
        name = "+".join(_public_name(part) for part in name.split("+"))
    model = config.model.model_copy(update={"name": name})
    return config.model_copy(update={"dataset": data.label, "model": model})


def base_models(model: ModelConfig) -> tuple[str, ...]:
    """Names on the Hub of what a model starts from; a local directory has none."""
    if model.name in _BASES:
        return _BASES[model.name]
    return tuple(part for part in model.name.split("+") if _is_on_hub(part))


def _is_on_hub(name: str) -> bool:
    return bool(_REPOSITORY.fullmatch(name)) and not Path(name).expanduser().exists()


def _public_name(name: str) -> str:
    return name if _is_on_hub(name) else Path(name).name or "local"
