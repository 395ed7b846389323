"""The quality report of a version, as its release wrote it."""

from pathlib import Path
from typing import Any

import orjson

_MAX_FILE_BYTES = 20 * 2**20


def read_quality(directory: Path) -> dict[str, Any]:
    """`quality.json` of a version; empty where there is none that can be read."""
    path = directory / "quality.json"
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return {}
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
