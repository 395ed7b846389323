from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.features import PROVENANCE_SCHEMA, PROVENANCE_SCHEMA_WITH_EXTRA
from schemas.sample import Provenance
from schemas.shards import read_records, write_shard
from tests.schemas.strategies import provenances


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=50,
)
@given(rows=st.lists(provenances(), min_size=1, max_size=4))
def test_provenance_comes_back_from_parquet_unchanged(
    tmp_path: Path, rows: list[Provenance]
) -> None:
    shard = tmp_path / "train-0.parquet"
    write_shard(shard, "provenance", (row.model_dump() for row in rows))
    assert [Provenance.model_validate(record) for record in read_records(shard)] == rows


def test_the_published_columns_are_the_fields_of_provenance() -> None:
    assert PROVENANCE_SCHEMA_WITH_EXTRA.names == list(Provenance.model_fields)


def test_fields_of_ones_own_have_a_column_only_where_there_are_any() -> None:
    assert [*PROVENANCE_SCHEMA.names, "extra"] == PROVENANCE_SCHEMA_WITH_EXTRA.names
