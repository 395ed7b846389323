"""Options that several commands share, and what they mean."""

import os
from pathlib import Path
from typing import Annotated

import typer

from trainer.errors import SettingError

OLDER_MODEL_NAMES = {"pretrained": "compact"}

Dataset = Annotated[
    str | None,
    typer.Option(help="OWNER/NAME@X.Y.Z on the Hub, a release directory, or DIR@X.Y.Z."),
]
Revision = Annotated[
    str | None, typer.Option(help="Older spelling of what follows @.", hidden=True)
]
Output = Annotated[Path, typer.Option(help="Directory to write to.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "--encoder",
        help="compact (multilingual E5-small beside EfficientNet-lite0, from packages), ngram "
        "(from scratch), a directory or Hub name of any vision-language or CLIP-like model, or "
        "TEXT+IMAGE for two towers. Default: compact, or ngram where its packages are missing.",
        show_default=False,
    ),
]
NumCandidates = Annotated[
    int | None, typer.Option(help="Held-out concepts to choose among.", show_default="300")
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        help="Where features of frozen towers are kept between runs.",
        show_default="polyscene/features in the user's cache",
    ),
]
Languages = Annotated[str | None, typer.Option(help='Codes such as "en,fr". Default: all.')]


def dataset_name(dataset: str | None, revision: str | None) -> str | None:
    """The version's one name; `--revision` is its older spelling."""
    if dataset is None or revision is None:
        return dataset
    if "@" in dataset:
        raise SettingError("revision", revision, "the version is already given after @.")
    return f"{dataset}@{revision}"


def use_cache(directory: Path | None) -> None:
    """Sets another directory than the user's cache for features."""
    from trainer.encoders.feature_cache import CACHE_VARIABLE

    if directory is not None:
        os.environ[CACHE_VARIABLE] = str(directory)
