"""Loads a published version exactly; the function stands alone and may be copied."""

# `datasets` and `huggingface_hub` type their functions in part; everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

from typing import Any


def load_version(repo_id: str, config: str, version: str, **options: Any) -> Any:
    """`load_dataset` for one version, which refuses to return any other.

    `load_dataset(repo_id, config, revision=...)` may, without a network, return
    another version from its cache and only log a warning. This downloads the
    tag's own files first, reads which version their manifest names, and loads
    from there; without a network it returns the version if it is cached, and
    fails if it is not.

    Endpoint and token come from the environment, as ever: `HF_ENDPOINT`, and
    `HF_TOKEN` or `hf auth login` for a private repository. Needs `datasets` 3
    or later, and 3.6 for `filters`; versions whose manifest has a `shard_format`
    below 3 need 4.

        load_version("o/n", "VQA", "0.2.0", filters=[("language", "==", "ar")], split="train")
        load_version("o/n", "VQA", "0.2.0", columns=["query_text", "positive_text"])

    Args:
        repo_id: OWNER/NAME on the Hub.
        config: "Retrieval", "Classification", "VQA", "provenance" or "reviews".
        version: X.Y.Z.
        options: Passed on to `load_dataset`, such as `split`, `streaming`, `columns`, or
            `filters`, which reads only the rows that match (in pyarrow's notation). Name
            the split with it: one without such a row cannot be loaded. `load_dataset` with
            the repository's name raises NonMatchingSplitsSizesError for it, because the
            card states how many rows a split has.

    Returns:
        What `load_dataset` returns.

    Raises:
        ValueError: The files are of another version, there is no such config, or the
            installed `datasets` cannot read this version's files.
        OSError: What `huggingface_hub` says of a version that it cannot reach,
            may not read, or has not whole in its cache while offline.
    """
    import json
    from pathlib import Path

    import datasets
    from huggingface_hub import snapshot_download

    version = version.removeprefix("v")
    folder = Path(
        snapshot_download(
            repo_id,
            repo_type="dataset",
            revision=f"v{version}",
            allow_patterns=["manifest.json", f"data/{config}/*"],
        )
    )
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if manifest["version"] != version:
        raise ValueError(
            f"{repo_id}: tag v{version} holds version {manifest['version']}. The tag was moved; "
            f"ask for {manifest['version']}, or tell the owner."
        )
    if int(datasets.__version__.split(".")[0]) < 4 and manifest["policy"]["shard_format"] < 3:
        raise ValueError(
            f"{repo_id} {version} needs datasets 4 or later; {datasets.__version__} is "
            "installed. Run `pip install -U datasets`, or load a later version."
        )
    files: dict[str, list[str]] = {}
    for shard in manifest["shards"]:
        if shard["config"] == config:
            files.setdefault(shard["split"], []).append(str(folder / shard["path"]))
    if not files:
        known = ", ".join(sorted({shard["config"] for shard in manifest["shards"]}))
        raise ValueError(f"{repo_id} {version} has no config {config!r}. It has {known}.")
    return datasets.load_dataset("parquet", data_files=files, **options)
