"""What changed between two versions: rows added, removed and changed, field by field.

Rows are matched by id; a row is changed when a published field differs, as in the change log
of a release. Texts are compared by hash inside DuckDB, so that neither version is held in memory.
"""

import difflib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from curation_app.data.query import FoundRow, RowFilter, VersionQuery
from curation_app.data.version import VersionDataset, open_dataset
from schemas.errors import PolysceneError
from schemas.manifest import MANIFEST_NAME, ManifestError, read_manifest
from schemas.sample import Sample
from schemas.versions import parse_number

Kind = Literal["added", "removed", "changed"]

FIELDS = ("split", *(name for name in Sample.model_fields if name != "id"))
#: Words, and the spaces between them, for marking what changed in a text; scripts without
#: spaces are compared letter by letter.
_WORD = re.compile(r"\s+|[A-Za-z0-9À-ɏЀ-ӿ]+|.", re.DOTALL)
_MAX_MARKED_CHARS = 4_000
_UNEQUAL = {name: f"o.{name} IS DISTINCT FROM n.{name}" for name in FIELDS}
_COMPARE = f"""
CREATE TABLE changes AS
SELECT coalesce(n.id, o.id) AS id, o.row AS old_row, n.row AS new_row,
    coalesce(n.language_name, o.language_name) AS language,
    CASE WHEN o.id IS NULL THEN 'added' WHEN n.id IS NULL THEN 'removed' ELSE 'changed' END AS kind,
    CASE WHEN o.id IS NULL OR n.id IS NULL THEN [] ELSE list_filter(
        [{", ".join(f"CASE WHEN {test} THEN '{name}' END" for name, test in _UNEQUAL.items())}],
        lambda name: name IS NOT NULL) END AS fields
FROM old_rows AS o FULL OUTER JOIN new_rows AS n ON n.id = o.id
WHERE o.id IS NULL OR n.id IS NULL OR {" OR ".join(_UNEQUAL.values())}
ORDER BY id
"""
_HASHED = (
    "SELECT id, row, language AS language_name, "
    + ", ".join(f"hash({name}) AS {name}" for name in FIELDS)
    + " FROM rows"
)


class CompareError(PolysceneError):
    """Two versions cannot be compared."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row that differs; row numbers count in each version, None where it lacks the row."""

    id: str
    old_row: int | None
    new_row: int | None
    language: str
    kind: Kind
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a changed row, before and after, as text."""

    field: str
    before: str
    after: str


@dataclass(slots=True)
class Differences:
    """How the newer version differs; `page` lists its rows.

    Args:
        by_field: Changed rows by field; a row counts for each field it changed in.
        by_language: Rows by language and kind.
    """

    old: VersionQuery
    new: VersionQuery
    total: Counter[str] = field(default_factory=Counter)
    by_field: Counter[str] = field(default_factory=Counter)
    by_language: dict[str, Counter[str]] = field(default_factory=dict)
    _connection: Any = None

    def page(
        self,
        *,
        kind: Kind | None = None,
        changed_field: str | None = None,
        after: str = "",
        limit: int = 50,
    ) -> list[Change]:
        """Rows that differ, in order of id, from the one after `after` on.

        Args:
            kind: Only these; None for all.
            changed_field: Only rows that changed in this field.
        """
        conditions, values = ["id > $after"], {"after": after, "limit": limit}
        if kind is not None:
            conditions.append("kind = $kind")
            values["kind"] = kind
        if changed_field is not None:
            conditions.append("list_contains(fields, $field)")
            values["field"] = changed_field
        found = self._connection.cursor().execute(
            "SELECT id, old_row, new_row, language, kind, fields FROM changes "
            f"WHERE {' AND '.join(conditions)} ORDER BY id LIMIT $limit",
            values,
        )
        return [
            Change(sample_id, old_row, new_row, language, what, tuple(fields))
            for sample_id, old_row, new_row, language, what, fields in found.fetchall()
        ]

    def rows(
        self, *, kind: Kind, changed_field: str | None = None, limit: int | None = None
    ) -> list[int]:
        """Row numbers in the newer version of its added or changed rows, in order of id."""
        found = self._connection.cursor().execute(
            "SELECT new_row FROM changes WHERE kind = $kind AND new_row IS NOT NULL "
            "AND ($field IS NULL OR list_contains(fields, $field)) ORDER BY id LIMIT $limit",
            {"kind": kind, "field": changed_field, "limit": 2**62 if limit is None else limit},
        )
        return [row for (row,) in found.fetchall()]

    def fields_of(self, sample_id: str) -> list[FieldChange]:
        """Every field of a row that differs; of an added or removed row, what it holds.

        Returns:
            Empty where the row is the same in both, or in neither.
        """
        before, after = _found(self.old, sample_id), _found(self.new, sample_id)
        changes = []
        for name in FIELDS:
            texts = [_as_text(getattr(row, name)) if row else "" for row in (before, after)]
            if texts[0] != texts[1]:
                changes.append(FieldChange(name, *texts))
        return changes


def compare_versions(old: VersionQuery, new: VersionQuery) -> Differences:
    """Compares two versions; takes about a second for 100,000 rows.

    Raises:
        DatasetError: A shard of one is damaged.
    """
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    for name, query in (("old_rows", old), ("new_rows", new)):
        cursor = query.prepare().connection.cursor()
        connection.register(name, cursor.sql(_HASHED).to_arrow_table())
        cursor.close()
    connection.execute(_COMPARE)
    connection.unregister("old_rows")
    connection.unregister("new_rows")
    made = Differences(old, new, _connection=connection)
    counted = "SELECT kind, language, fields, count(*) FROM changes GROUP BY ALL"
    for kind, language, fields, number in connection.execute(counted).fetchall():
        made.total[kind] += number
        made.by_language.setdefault(language, Counter())[kind] += number
        for name in fields:
            made.by_field[name] += number
    return made


def sibling_versions(dataset: VersionDataset) -> list[str]:
    """Numbers of the same dataset's versions in the folders beside this one, oldest first."""
    numbers = {}
    for file in dataset.directory.resolve().parent.glob(f"*/{MANIFEST_NAME}"):
        try:
            manifest = read_manifest(file)
        except ManifestError:
            continue
        number = parse_number(manifest.version)
        if manifest.name == dataset.manifest.name and number is not None:
            numbers[number] = manifest.version
    return [version for number, version in sorted(numbers.items()) if version != dataset.version]


def open_sibling(dataset: VersionDataset, version: str) -> VersionDataset:
    """Another version of the same dataset, from the folders beside this one.

    Raises:
        CompareError: There is none of this number.
        VersionError: Its files are not whole.
        DatasetError: Its shards are not as its manifest says.
    """
    for file in sorted(dataset.directory.resolve().parent.glob(f"*/{MANIFEST_NAME}")):
        try:
            manifest = read_manifest(file)
        except ManifestError:
            continue
        if (manifest.name, manifest.version) == (dataset.manifest.name, version):
            return open_dataset(str(file.parent))
    raise CompareError(
        f"version {version[:40]} of {dataset.manifest.name} is not beside {dataset.version}. "
        "Fetch or release it, then open the page again."
    )


def marked_words(before: str, after: str) -> list[tuple[str, str | None]]:
    """A text with what was taken out ("-"), put in ("+") and kept (None), in reading order."""
    old = _WORD.findall(before[:_MAX_MARKED_CHARS])
    new = _WORD.findall(after[:_MAX_MARKED_CHARS])
    marked: list[tuple[str, str | None]] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for what, i, j, k, m in matcher.get_opcodes():
        if what == "equal":
            marked.append(("".join(old[i:j]), None))
            continue
        marked += [(text, sign) for text, sign in _sides(old[i:j], new[k:m]) if text]
    return marked


def paired_counts(
    first: Mapping[str, bool], second: Mapping[str, bool]
) -> tuple[int, int, int, int]:
    """Of samples judged in both versions: defect in both, only in the first, the second, none.

    Args:
        first: Whether a sample was rejected, by id, in the older version.
        second: The same in the newer.
    """
    pairs = Counter((first[key], second[key]) for key in first.keys() & second.keys())
    return pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False]


def _sides(old: list[str], new: list[str]) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("".join(old), "-"), ("".join(new), "+")


def _found(query: VersionQuery, sample_id: str) -> FoundRow | None:
    row = query.dataset.row_of(sample_id)
    if row is None:
        return None
    rows = query.page(RowFilter(rows=(row,)), limit=1).rows
    return rows[0] if rows else None


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return "\n".join("" if entry is None else str(entry) for entry in value)
    return "" if value is None else str(value)
