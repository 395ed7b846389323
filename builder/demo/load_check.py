"""Loads a published config in a process of its own, with the one line a user would write.

Run as `python -m builder.demo.load_check REPO_ID CONFIG REVISION`; prints one JSON line.
"""

import sys
from typing import Any

import orjson


def load_check(repo_id: str, config: str, revision: str) -> dict[str, Any]:
    """Row count, a digest of ids and texts, and the size of a decoded image."""
    import hashlib

    from datasets import load_dataset

    splits = load_dataset(repo_id, config, revision=revision)
    digest = hashlib.sha256()
    num_rows = 0
    for split in sorted(splits):
        texts = splits[split].select_columns(["id", "query_text", "positive_text"])
        for row in texts:
            digest.update(orjson.dumps(row))
        num_rows += splits[split].num_rows
    first = splits["train"][0]
    image = first["query_image"] or first["positive_image"]
    image.load()
    return {
        "repo_id": repo_id,
        "config": config,
        "revision": revision,
        "num_rows": num_rows,
        "rows_sha256": digest.hexdigest(),
        "first_image_px": list(image.size),
    }


if __name__ == "__main__":
    print(orjson.dumps(load_check(*sys.argv[1:4])).decode())
