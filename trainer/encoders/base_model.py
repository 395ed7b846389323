"""Finds a base model: a directory, or a repository on a Hub that is downloaded."""

import json
from pathlib import Path
from typing import Any

from schemas.errors import PolysceneError
from trainer.portable.pooling import EmbeddingHead, PoolingMode, read_head
from trainer.portable.vision_language import FILE_PATTERNS, IGNORED_PATTERNS

MODULES_NAME = "modules.json"
CONFIG_NAME = "config.json"


class BaseModelError(PolysceneError):
    """A model cannot be trained or read.

    Args:
        name: Directory or name on a Hub, as the user gave it.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
    """

    def __init__(self, name: str, what: str, remedy: str) -> None:
        self.name = name
        self.what = what
        self.remedy = remedy
        super().__init__(f"{name}: {what}. {remedy}")


def find_base_model(name: str, revision: str | None = None) -> Path:
    """The directory of a model, downloaded first if the name is not a directory.

    Raises:
        BaseModelError: There is no such model.
    """
    directory = Path(name).expanduser()
    if directory.is_dir():
        if not (directory / CONFIG_NAME).is_file():
            raise BaseModelError(
                name,
                f"the directory has no {CONFIG_NAME}",
                "Name the directory that holds a transformers model.",
            )
        return directory
    if directory.is_absolute() or name.startswith((".", "~")):
        raise BaseModelError(name, "no such directory", "Check --model.")
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(FILE_PATTERNS),
            ignore_patterns=list(IGNORED_PATTERNS),
        )
    except Exception as exc:  # no such repository, no access, no network: a dozen classes
        text = str(exc).strip()
        reason = text.splitlines()[0].rstrip(".") if text else type(exc).__name__
        at = f" at revision {revision}" if revision else ""
        raise BaseModelError(
            name,
            f"no directory of this name, and not to be read from the Hub{at} ({reason})",
            "Check --model, the network and HF_TOKEN.",
        ) from exc
    return Path(found)


def head_of(directory: Path, hidden_size: int, pooling: str) -> EmbeddingHead:
    """How a model's token states become embeddings: as its files say, else the end token's state.

    Args:
        pooling: "last" or "mean" override what the model does; "auto" does not.

    Raises:
        ValueError: Its `modules.json` names parts that are not known.
    """
    chosen: PoolingMode = "mean" if pooling == "mean" else "lasttoken"
    path = directory / MODULES_NAME
    if not path.is_file():
        return EmbeddingHead(hidden_size, chosen)
    modules: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    if len(modules) == 1:  # its one module is code of its own, which is not run
        return EmbeddingHead(hidden_size, chosen)
    head = read_head(directory, modules)
    if head.hidden_size != hidden_size:
        raise ValueError(
            f"{MODULES_NAME} pools {head.hidden_size} values per token; the model has {hidden_size}"
        )
    if pooling != "auto":
        head.mode = chosen
    return head
