"""The ledger's outcomes as an Arrow table, read without their rows' contents."""

import pyarrow as pa

from builder.ledger.ledger import Ledger

_DICTIONARY = pa.dictionary(pa.int32(), pa.string())
#: The columns that balancing looks at, in the ledger's own order and names.
OUTCOME_SCHEMA = pa.schema(
    [
        ("job_id", pa.string()),
        ("round", pa.int32()),
        ("idx", pa.int32()),
        ("task_type", _DICTIONARY),
        ("modality", _DICTIONARY),
        ("language", _DICTIONARY),
        ("reason", _DICTIONARY),
    ]
)


def read_outcomes(ledger: Ledger, since_round: int = 0) -> pa.Table:
    """Outcomes, kept and dropped, in no particular order.

    May be called during a build: it never blocks the ledger's writer.

    Args:
        ledger: An open ledger.
        since_round: Only outcomes of this round and later ones.

    Raises:
        LedgerError: The ledger is damaged.
    """
    batches: list[pa.RecordBatch] = []
    for rows in ledger.outcomes(OUTCOME_SCHEMA.names, since_round):
        columns = zip(*rows, strict=True)
        arrays = [
            pa.array(values, type=field.type)
            for values, field in zip(columns, OUTCOME_SCHEMA, strict=True)
        ]
        batches.append(pa.record_batch(arrays, schema=OUTCOME_SCHEMA))
    return pa.Table.from_batches(batches, schema=OUTCOME_SCHEMA).unify_dictionaries()
