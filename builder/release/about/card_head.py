"""The YAML head of a card, which the Hub and `datasets` read before any row."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import yaml

from builder.release.about.licences import Terms, is_lexicon, licence_head
from schemas.features import IMAGE, config_schema
from schemas.manifest import ShardEntry
from schemas.vocabulary import SPLITS

_TASKS = {
    "Classification": "zero-shot-image-classification",
    "VQA": "visual-question-answering",
    "Retrieval": "image-feature-extraction",
}
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
_CONFIG_ORDER = ("Retrieval", "Classification", "VQA", "provenance", "reviews")


def card_head(
    *,
    title: str,
    version: str,
    languages: Sequence[str],
    terms: Sequence[Terms],
    num_samples: int,
    shards: Sequence[ShardEntry],
    has_extra: bool = False,
) -> str:
    """The metadata block, without its `---` lines."""
    configs = [name for name in _CONFIG_ORDER if any(entry.config == name for entry in shards)]
    head: dict[str, Any] = {
        "pretty_name": title,
        "version": version,
        "language": sorted(languages),
        **licence_head(terms),
        "task_categories": sorted(_TASKS[name] for name in configs if name in _TASKS),
        "size_categories": [size_category(num_samples)],
        **_creators(languages, terms),
        "tags": ["synthetic", "multimodal", "multilingual", "embeddings", "polyscene"],
        "configs": [_config(name, shards) for name in configs],
        "dataset_info": [_info(name, shards, has_extra) for name in configs],
    }
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=100)


def _config(name: str, shards: Sequence[ShardEntry]) -> dict[str, Any]:
    splits = [split for split in SPLITS if _of(shards, name, split)]
    entry: dict[str, Any] = {"config_name": name}
    if name == _CONFIG_ORDER[0]:
        entry["default"] = True
    entry["data_files"] = [
        {"split": split, "path": f"data/{name}/{split}-*.parquet"} for split in splits
    ]
    return entry


def _info(name: str, shards: Sequence[ShardEntry], has_extra: bool) -> dict[str, Any]:
    splits = []
    for split in SPLITS:
        files = _of(shards, name, split)
        if files:
            num_bytes = sum(entry.num_bytes for entry in files)
            num_rows = sum(entry.num_rows for entry in files)
            splits.append({"name": split, "num_bytes": num_bytes, "num_examples": num_rows})
    size = sum(split["num_bytes"] for split in splits)
    return {
        "config_name": name,
        "features": [
            {"name": field.name, **_yaml_feature(field.type)}
            for field in config_schema(name, has_extra=has_extra)
        ],
        "splits": splits,
        "download_size": size,
        "dataset_size": size,
    }


def _yaml_feature(kind: pa.DataType) -> dict[str, Any]:
    if kind.equals(IMAGE):
        return {"dtype": "image"}
    if pa.types.is_struct(kind):
        return {"struct": [{"name": child.name, **_yaml_feature(child.type)} for child in kind]}
    if pa.types.is_list(kind):
        inner = _yaml_feature(kind.value_type)
        return {"list": inner.get("dtype") or inner.get("struct") or [inner]}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind))}


def _of(shards: Sequence[ShardEntry], config: str, split: str) -> list[ShardEntry]:
    return [entry for entry in shards if entry.config == config and entry.split == split]


def size_category(num_samples: int) -> str:
    """The Hub's name for a size."""
    return next((name for limit, name in _SIZES if num_samples < limit), "1B<n<10B")


def _creators(languages: Sequence[str], terms: Sequence[Terms]) -> dict[str, list[str]]:
    """Who made texts and scores, in the Hub's terms; a lexicon's words count as found.

    Instructions are English, whatever the language of the texts.
    """
    has_lexicon = any(entry.kind == "texts" and is_lexicon(entry.source) for entry in terms)
    is_multilingual = len({*languages, "en"}) > 1
    return {
        "annotations_creators": ["machine-generated"],
        "language_creators": ["found"] * has_lexicon + ["machine-generated"],
        "multilinguality": ["multilingual" if is_multilingual else "monolingual"],
        "source_datasets": ["original"],
    }
