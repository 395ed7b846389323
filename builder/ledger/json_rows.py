"""Rows as the ledger keeps them, JSON, read into an Arrow table."""

# pyright: standard, reportMissingTypeStubs=false

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.json as pa_json

from builder.ledger.transaction import LedgerError

_BLOCK_BYTES = 1 << 20


def read_json_rows(
    rows: Sequence[bytes], schema: pa.Schema, *, what: str = "row", ignores_others: bool = False
) -> pa.Table:
    """Parses JSON objects into a table, in order.

    Args:
        rows: At least one object.
        schema: Of the table.
        what: Word for one of them.
        ignores_others: Whether objects may have fields that the schema lacks.

    Raises:
        LedgerError: A row does not fit the schema.
    """
    try:
        table = pa_json.read_json(
            pa.BufferReader(b"\n".join(rows)),
            # A row may not be longer than a block.
            read_options=pa_json.ReadOptions(block_size=max(_BLOCK_BYTES, 2 * max(map(len, rows)))),
            parse_options=pa_json.ParseOptions(
                explicit_schema=schema,
                unexpected_field_behavior="ignore" if ignores_others else "error",
            ),
        )
    except pa.ArrowInvalid as exc:
        raise LedgerError(
            f"ledger: a {what} does not fit the schema ({exc}). Run `python -m builder reparse`."
        ) from exc
    if table.num_rows != len(rows):
        raise LedgerError(
            f"ledger: a {what} is not a single JSON object. Run `python -m builder reparse`."
        )
    return table.combine_chunks()
