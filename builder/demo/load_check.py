"""Loads a published config in a process of its own, with the one line a user would write.

Run as `python -m builder.demo.load_check REPO_ID CONFIG REVISION`; prints one JSON line.
"""

import sys
from typing import Any

import orjson

_COLUMNS = ["id", "query_text", "positive_text"]


def load_check(repo_id: str, config: str, revision: str) -> dict[str, Any]:
    """What `load_dataset` gives of a config, whole and streamed.

    Streamed first, as that leaves nothing in the cache for the other.
    """
    from datasets import load_dataset

    streamed = _digest(load_dataset(repo_id, config, revision=revision, streaming=True))
    loaded = _digest(load_dataset(repo_id, config, revision=revision))
    where = {"repo_id": repo_id, "config": config, "revision": revision}
    return where | loaded | {"streamed": streamed}


def _digest(splits: Any) -> dict[str, Any]:
    """Row count, a hash of ids and texts in their order, and the size of a decoded image."""
    import hashlib

    digest = hashlib.sha256()
    num_rows = 0
    for split in sorted(splits):
        for row in splits[split].select_columns(_COLUMNS):
            digest.update(orjson.dumps(row))
            num_rows += 1
    first = next(iter(splits["train"]))
    image = first["query_image"] or first["positive_image"]
    image.load()
    return {
        "num_rows": num_rows,
        "rows_sha256": digest.hexdigest(),
        "first_image_px": list(image.size),
    }


if __name__ == "__main__":
    print(orjson.dumps(load_check(*sys.argv[1:4])).decode())
