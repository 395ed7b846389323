"""The configuration that comes with a published version: somebody else wrote it.

It decides what is built. Where requests and the key that goes with them are
sent, how hard, and which files of this machine are read, it does not.
"""

import re
from pathlib import Path
from typing import Any

from builder.config import BuildConfig, TeacherConfig, load_config
from builder.publish.errors import PublishError

#: All that a published version may say of an endpoint; what is added to them later is not among it.
_OF_AN_ENDPOINT = {
    "model",
    "temperature",
    "max_completion_tokens",
    "timeout_s",
    "structured_output",
}
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def pulled_config(path: Path) -> tuple[BuildConfig, list[str]]:
    """Reads a published configuration.

    Returns:
        It, and the names of the fields that were set back to their defaults.

    Raises:
        PublishError: It is not there.
        ConfigError: It is none.
    """
    if not path.exists():
        raise PublishError(f"{path}: missing; the version cannot be gone on from.")
    content = load_config(path).model_dump(mode="json")
    default = BuildConfig().model_dump(mode="json")
    reset: list[str] = []
    for role in ("teacher", "judge"):
        reset += _set_back(content[role], TeacherConfig().model_dump(mode="json"), role)
    if content["pace"] != default["pace"]:
        content["pace"] = default["pace"]
        reset.append("pace")
    if _is_path(content["images"]["embedder"]):
        content["images"]["embedder"] = default["images"]["embedder"]
        reset.append("images.embedder")
    return BuildConfig.model_validate(content), reset


def _set_back(endpoint: dict[str, Any] | None, default: dict[str, Any], role: str) -> list[str]:
    """Sets fields of an endpoint back in place; names those that were otherwise."""
    if endpoint is None:
        return []
    fields = [
        name
        for name, value in endpoint.items()
        if name not in _OF_AN_ENDPOINT and value != default.get(name)
    ]
    for name in fields:
        endpoint[name] = default.get(name)
    return [f"{role}.{name}" for name in fields]


def _is_path(embedder: str) -> bool:
    return _HUB_NAME.fullmatch(embedder) is None or Path(embedder).exists()
