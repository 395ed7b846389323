"""The configuration in a published version, which somebody else wrote.

It decides what is built. It does not decide where requests and their key are
sent, at which pace, and which local files are read.
"""

import re
from pathlib import Path
from typing import Any

from builder.config import BuildConfig, TeacherConfig, load_config
from builder.publish.errors import PublishError

#: All that a published version may decide about an endpoint; fields added later are not trusted.
_TRUSTED_ENDPOINT_FIELDS = {
    "model",
    "temperature",
    "max_completion_tokens",
    "timeout_s",
    "structured_output",
    "use_captions",
    *("name", "weight", "languages"),
}
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def pulled_config(path: Path) -> tuple[BuildConfig, list[str]]:
    """Reads a published configuration.

    Returns:
        The configuration, and the names of the fields reset to their defaults.

    Raises:
        PublishError: There is no such file.
        ConfigError: It is not a valid configuration.
    """
    if not path.exists():
        raise PublishError(
            f"{path}: missing, so this version cannot be continued. Pull another version."
        )
    config = load_config(path, without={"prompts"})
    content = config.model_dump(mode="json")
    default = BuildConfig().model_dump(mode="json")
    # Prompts of the publisher's own stay with the publisher; what is published is their hashes.
    reset = ["prompts"] if "prompts:" in path.read_text(encoding="utf-8").splitlines() else []
    for role in ("teacher", "judge"):
        reset += _reset(content[role], TeacherConfig().model_dump(mode="json"), role)
    for entry in content["teachers"]:
        name = f"teachers.{entry['name']}"
        reset += _reset(entry, TeacherConfig().model_dump(mode="json"), name)
    if content["pace"] != default["pace"]:
        content["pace"] = default["pace"]
        reset.append("pace")
    if _is_path(content["images"]["embedder"]):
        content["images"]["embedder"] = default["images"]["embedder"]
        reset.append("images.embedder")
    if content["images"]["safety"] is not None:  # it may be a directory of this machine
        content["images"]["safety"] = None
        reset.append("images.safety")
    return BuildConfig.model_validate(content), reset


def _reset(endpoint: dict[str, Any] | None, default: dict[str, Any], role: str) -> list[str]:
    """Resets fields of an endpoint in place; returns the names of those that changed."""
    if endpoint is None:
        return []
    fields = [
        name
        for name, value in endpoint.items()
        if name not in _TRUSTED_ENDPOINT_FIELDS and value != default.get(name)
    ]
    for name in fields:
        endpoint[name] = default.get(name)
    return [f"{role}.{name}" for name in fields]


def _is_path(embedder: str) -> bool:
    return _HUB_NAME.fullmatch(embedder) is None or Path(embedder).exists()
