"""`croissant.json`: the release as machine-readable metadata (MLCommons Croissant 1.1)."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from builder.release.about.rai import RAI_VERSION
from schemas.features import IMAGE, config_schema
from schemas.manifest import ShardEntry

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_VERSION = "http://mlcommons.org/croissant/1.1"
_KEYWORDS = ["synthetic", "multimodal", "multilingual", "embeddings"]
_PARQUET = "application/x-parquet"


def croissant(
    *,
    name: str,
    description: str,
    version: str,
    licences: Sequence[str],
    citation: str,
    languages: Sequence[str],
    creator: str | None,
    shards: Sequence[ShardEntry],
    rai: Mapping[str, Any],
    has_extra: bool = False,
) -> dict[str, Any]:
    """Metadata of a release: every shard with its checksum, every config's flat columns.

    Args:
        name: Short name of the dataset.
        description: One sentence.
        version: X.Y.Z.
        licences: By name.
        citation: BibTeX.
        languages: Codes of the texts' languages.
        creator: Who made it, where the configuration says so.
        shards: Files to list.
        rai: Fields of the responsible-AI vocabulary.
        has_extra: Whether provenance has the column of fields of one's own.
    """
    configs = list(dict.fromkeys(entry.config for entry in shards))
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [_VERSION, RAI_VERSION],
        "name": name,
        "description": description,
        "version": version,
        "license": list(licences),
        "citeAs": citation,
        **({"creator": {"@type": "sc:Organization", "name": creator}} if creator else {}),
        "inLanguage": list(languages),
        "keywords": _KEYWORDS,
        "isLiveDataset": False,
        **rai,
        "distribution": [
            *(_file(entry) for entry in shards),
            *(_file_set(config) for config in configs),
        ],
        "recordSet": [_record_set(config, has_extra) for config in configs],
    }


def _file(entry: ShardEntry) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": entry.path,
        "name": entry.path,
        "contentUrl": entry.path,
        "contentSize": f"{entry.num_bytes} B",
        "encodingFormat": _PARQUET,
        "sha256": entry.sha256,
    }


def _file_set(config: str) -> dict[str, Any]:
    # Without `containedIn`, readers look for the files beside croissant.json, where they are.
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-files",
        "name": f"{config}-files",
        "encodingFormat": _PARQUET,
        "includes": f"data/{config}/*.parquet",
    }


def _record_set(config: str, has_extra: bool) -> dict[str, Any]:
    schema = config_schema(config, has_extra=has_extra)
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "key": {"@id": f"{config}/{schema.names[0]}"},
        "field": [_field(config, column) for column in schema if _data_type(column.type)],
    }


def _field(config: str, column: pa.Field) -> dict[str, Any]:
    source: dict[str, Any] = {
        "fileSet": {"@id": f"{config}-files"},
        "extract": {"column": column.name},
    }
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{config}/{column.name}",
        "name": f"{config}/{column.name}",
        "dataType": _data_type(column.type),
        "source": source,
    }
    if pa.types.is_list(column.type):
        # Readers of 1.0 know `repeated` only, and mlcroissant 1.1 needs it to decode images.
        field |= {"isArray": True, "arrayShape": "-1", "repeated": True}
    if _data_type(column.type) == "sc:ImageObject":
        source["transform"] = {"jsonPath": "bytes"}
    return field


def _data_type(kind: pa.DataType) -> str | None:
    """Croissant type of a column; None for nested ones, which Croissant describes poorly."""
    if pa.types.is_list(kind):
        return _data_type(kind.value_type)
    if kind.equals(IMAGE):
        return "sc:ImageObject"
    if pa.types.is_struct(kind):
        return None
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
