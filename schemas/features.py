"""Arrow schemas of the published configs, made from their models, and the same for `datasets`."""

# pyarrow ships no types: what comes of it is unknown, everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import orjson
import pyarrow as pa
from pydantic import BaseModel

from schemas.columns import Before, Stored, StoredAsPairs, WhereUsed
from schemas.review import ReviewEvent
from schemas.sample import Provenance, Sample
from schemas.vocabulary import CONFIG_OF_TASK

#: How `datasets` stores an Image column.
IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])

_TYPES: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_STORED = {"int8": pa.int8(), "int32": pa.int32(), "image": IMAGE}


def arrow_schema(model: type[BaseModel], *, has_all: bool = False) -> pa.Schema:
    """Columns of a model's fields, in their order unless a note says otherwise.

    Args:
        model: The model.
        has_all: With the columns that only some releases have.

    Raises:
        TypeError: A field has a type without a column type; a note (`schemas.columns`) gives one.
    """
    fields = model.model_fields
    names = list(fields)
    for name, field in fields.items():
        for note in field.metadata:
            if isinstance(note, Before):
                names.remove(name)
                names.insert(names.index(note.column), name)
            if isinstance(note, WhereUsed) and not has_all:
                names.remove(name)
    return pa.schema(
        [
            pa.field(name, _arrow_type(fields[name].annotation, fields[name].metadata))
            for name in names
        ]
    )


def _arrow_type(kind: Any, notes: Sequence[Any] = ()) -> pa.DataType:
    for note in notes:
        if isinstance(note, Stored):
            return _STORED[note.kind]
        if isinstance(note, StoredAsPairs):
            return pa.list_(pa.struct([(note.key, pa.string()), (note.value, pa.string())]))
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _arrow_type(args[0], args[1:])
    if origin in (Union, UnionType):  # only ever with None: every column may be null
        (kind,) = (arg for arg in args if arg is not NoneType)
        return _arrow_type(kind)
    if origin is tuple:
        return pa.list_(_arrow_type(args[0]))
    if origin is Literal:
        return pa.string()
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return pa.struct(list(arrow_schema(kind)))
    if kind not in _TYPES:
        raise TypeError(f"{kind} has no column type. Note one in `Annotated`: `schemas.columns`.")
    return _TYPES[kind]


SAMPLE_SCHEMA = arrow_schema(Sample)
PROVENANCE_SCHEMA = arrow_schema(Provenance)
#: Where the builder had fields of its own in the reply.
PROVENANCE_SCHEMA_WITH_EXTRA = arrow_schema(Provenance, has_all=True)
REVIEW_SCHEMA = arrow_schema(ReviewEvent)

#: Arrow schema of every published config, without the footer.
CONFIG_SCHEMAS: dict[str, pa.Schema] = {
    **dict.fromkeys(CONFIG_OF_TASK.values(), SAMPLE_SCHEMA),
    "provenance": PROVENANCE_SCHEMA,
    "reviews": REVIEW_SCHEMA,
}


def config_schema(config: str, *, has_extra: bool = False) -> pa.Schema:
    """Arrow schema of a config, with or without the provenance column of fields of one's own."""
    if has_extra and config == "provenance":
        return PROVENANCE_SCHEMA_WITH_EXTRA
    return CONFIG_SCHEMAS[config]


def footer_feature(kind: pa.DataType) -> Any:
    """The `datasets` feature of an Arrow type that holds images, as JSON that any release reads.

    A list is spelled `Sequence`: `List`, the word of `datasets` 4 and later, stops
    earlier releases, and later ones read both. Around a struct the two words mean
    different layouts, so no list of structs may hold an image.

    Raises:
        TypeError: A list of structs holds an image.
    """
    if kind.equals(IMAGE):
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        inner = footer_feature(kind.value_type)
        if "_type" not in inner:
            raise TypeError(f"{kind}: no release of datasets before 4 reads images in this layout")
        return {"feature": inner, "_type": "Sequence"}
    if pa.types.is_struct(kind):
        return {field.name: footer_feature(field.type) for field in kind}
    dtype = {"double": "float64"}.get(str(kind), str(kind))
    return {"dtype": dtype, "_type": "Value"}


def with_footer(schema: pa.Schema) -> pa.Schema:
    """The schema with the footer entry from which `datasets` restores Image columns.

    Only columns with images are named there: of all others the Arrow type says
    everything, and every release of `datasets` turns it into its own features.
    """
    features = {
        field.name: footer_feature(field.type) for field in schema if _has_image(field.type)
    }
    info = {"info": {"features": features}}
    return schema.with_metadata({"huggingface": orjson.dumps(info).decode()})


def _has_image(kind: pa.DataType) -> bool:
    if kind.equals(IMAGE):
        return True
    if pa.types.is_list(kind):
        return _has_image(kind.value_type)
    return pa.types.is_struct(kind) and any(_has_image(child.type) for child in kind)


def image_columns_of(schema: pa.Schema) -> list[str]:
    """Names of the columns that hold an image or a list of them."""
    return [field.name for field in schema if _with_image_names(field.type) != field.type]


def with_image_names(schema: pa.Schema) -> pa.Schema:
    """The schema with images by name instead of their bytes: as ledger and indexes hold rows."""
    return pa.schema([pa.field(field.name, _with_image_names(field.type)) for field in schema])


def leaf_columns(schema: pa.Schema, *, image_bytes: bool = True) -> list[str]:
    """Parquet paths of the leaf columns, such as `negative_images.list.element.path`.

    Args:
        image_bytes: False leaves out the bytes of images, which are nearly all there is to read.
    """
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    return [leaf for leaf in leaves if image_bytes or not leaf.endswith(".bytes")]


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for child in kind:
            yield from _leaves(f"{path}.{child.name}", child.type)
    else:
        yield path


def _with_image_names(kind: pa.DataType) -> pa.DataType:
    if kind.equals(IMAGE):
        return pa.string()
    return pa.list_(pa.string()) if kind.equals(pa.list_(IMAGE)) else kind
