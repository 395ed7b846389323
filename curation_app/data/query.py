"""Searches a version: filters, text in any language, sort, pages and counts, without its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from curation_app.data.search_index import SearchIndex, fold_text, open_search_index
from curation_app.data.version import VersionDataset
from schemas.errors import PolysceneError

TextField = Literal["texts", "instruction"]
SortKey = Literal[
    "id",
    "language",
    "lowest_score",
    "relevance",
    "plausibility",
    "clarity",
    "diversity",
    "alignment",
    "text_length",
]
Marks = Mapping[str, np.ndarray]

_SORT_EXPRESSIONS: dict[SortKey, str] = {
    "id": "row",
    "language": "language",
    "lowest_score": "lowest_score",
    "relevance": "relevance",
    "plausibility": "plausibility",
    "clarity": "clarity",
    "diversity": "diversity",
    "alignment": "coalesce(alignment, '{last}'::DOUBLE)",
    "text_length": "text_length",
}
_MAX_TEXT_CHARS = 500
_NUM_COUNTS_KEPT = 256


class QueryError(PolysceneError):
    """A search asks for what there is not."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows are wanted; an empty field is any.

    Args:
        text: Must occur in the row; case, width, composition and invisible characters
            do not count.
        text_in: "texts" for query, positive and negatives; "instruction".
        marks: Names of review marks; a row with one of them is wanted.
        images: sha256s; a row with one of them at any place is wanted.
        max_lowest_score: The lowest of the teacher's four scores is at most this, 1 to 5.
        rows: Row numbers to choose from; None for all.
    """

    text: str = ""
    text_in: TextField = "texts"
    languages: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    max_lowest_score: int | None = None
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    key: SortKey = "id"
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: the next page begins after it."""

    key: Any
    row: int


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row as a table shows it; images are sha256s."""

    row: int
    id: str
    split: str
    language: str
    task_type: str
    modality: str
    instruction: str
    query_text: str | None
    positive_text: str | None
    negative_texts: list[str | None]
    query_image: str | None
    positive_image: str | None
    negative_images: list[str | None]
    relevance: int
    plausibility: int
    clarity: int
    diversity: int
    alignment: float | None
    teacher_model: str | None

    @property
    def pictures(self) -> list[tuple[str, str]]:
        """(place, sha256) of each image, places as the thumbnail route names them."""
        negatives = ((f"negative-{n}", sha) for n, sha in enumerate(self.negative_images))
        places = (("query", self.query_image), ("positive", self.positive_image), *negatives)
        return [(place, sha256) for place, sha256 in places if sha256 is not None]


_SHOWN = tuple(field.name for field in fields(FoundRow))


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order; `next` begins the page after, None where this is the last."""

    rows: list[FoundRow]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class _Selection:
    """A filter as SQL: conditions, their parameters, and row numbers they refer to."""

    conditions: list[str]
    values: dict[str, Any]
    listed: np.ndarray | None

    @property
    def where(self) -> str:
        return " AND ".join(self.conditions)


class VersionQuery:
    """Searches over one version; safe for many threads.

    The index is opened, and built if it is missing, by the first search or by
    `prepare`. Marks say where the review of each row stands, as masks over
    the rows by name ("accepted", "rejected", …); they are given to each call, as
    they change while people review.

        query = VersionQuery(dataset, Path("cache"))
        page = query.page(RowFilter(text="بالون", languages=("ar",)), limit=50)

    Args:
        dataset: The version.
        cache_dir: Where indexes are kept; made where it is missing.

    Raises:
        DatasetError: A shard is damaged (of the first search).
    """

    def __init__(self, dataset: VersionDataset, cache_dir: Path) -> None:
        self.dataset = dataset
        self.cache_dir = cache_dir
        self._lock = Lock()
        self._index: SearchIndex | None = None
        self._counts: dict[RowFilter, int] = {}

    def prepare(self) -> SearchIndex:
        """Opens the index, building it where the cache has none."""
        with self._lock:
            if self._index is None:
                self._index = open_search_index(self.dataset, self.cache_dir)
            return self._index

    @property
    def index_path(self) -> Path | None:
        """The index's file; None where it is in memory."""
        return self.prepare().path

    def page(
        self,
        wanted: RowFilter,
        *,
        sort: Sort = Sort(),
        after: Cursor | None = None,
        limit: int = 50,
        marks: Marks | None = None,
    ) -> Page:
        """One page of the rows wanted, in order; ties are in order of the row number.

        Args:
            after: `Page.next` of the page before, for the same filter and sort.

        Raises:
            QueryError: The filter cannot be used.
        """
        chosen = self._selection(wanted, marks)
        last = "-infinity" if sort.is_descending else "infinity"  # rows without a score
        key = _SORT_EXPRESSIONS[sort.key].format(last=last)
        if after is not None:
            beyond = "<" if sort.is_descending else ">"
            chosen.conditions.append(f"({key} {beyond} $key OR ({key} = $key AND row > $row))")
            chosen.values.update(key=after.key, row=after.row)
        order = f"{key} DESC, row" if sort.is_descending else f"{key}, row"
        chosen.values["limit"] = limit + 1
        # The order is settled on narrow columns; then the texts of the page alone are read, by
        # their place in the file.
        query = (
            "WITH page AS MATERIALIZED (SELECT rowid AS place FROM rows "
            f"WHERE {chosen.where} ORDER BY {order} LIMIT $limit) "
            f"SELECT {key}, {', '.join(_SHOWN)} FROM rows "
            f"WHERE rowid IN (SELECT place FROM page) ORDER BY {order}"
        )
        found = self._run(query, chosen.values, chosen.listed)
        rows = [FoundRow(*values) for _, *values in found[:limit]]
        return Page(rows, Cursor(*found[limit - 1][:2]) if len(found) > limit else None)

    def count(self, wanted: RowFilter, *, marks: Marks | None = None) -> int:
        """How many rows are wanted; counts that no verdict can change are remembered."""
        if wanted in self._counts:
            return self._counts[wanted]
        chosen = self._selection(wanted, marks)
        query = f"SELECT count(*) FROM rows WHERE {chosen.where}"
        [(found,)] = self._run(query, chosen.values, chosen.listed)
        if not wanted.marks and wanted.rows is None:
            if len(self._counts) >= _NUM_COUNTS_KEPT:
                self._counts.clear()
            self._counts[wanted] = found
        return found

    def rows(
        self, wanted: RowFilter, *, limit: int | None = None, marks: Marks | None = None
    ) -> list[int]:
        """Row numbers of the rows wanted, ascending."""
        chosen = self._selection(wanted, marks)
        query = f"SELECT row FROM rows WHERE {chosen.where} ORDER BY row"
        if limit is not None:
            query, chosen.values["limit"] = f"{query} LIMIT $limit", limit
        return [row for (row,) in self._run(query, chosen.values, chosen.listed)]

    def values(self, column: Literal["split", "licences", "teacher_model"]) -> list[str]:
        """Distinct values of a column, sorted; for the choices of a filter."""
        source = (
            "SELECT unnest(licences) AS value"
            if column == "licences"
            else (f"SELECT {column} AS value")
        )
        query = f"SELECT DISTINCT value FROM ({source} FROM rows) WHERE value IS NOT NULL"
        return sorted(value for (value,) in self._run(query, {}))

    def counts_by(self, *columns: str) -> list[tuple[Any, ...]]:
        """Rows by the values of columns of the index: (value, …, number), in order."""
        unknown = [
            column for column in columns if column not in _SHOWN and column != "lowest_score"
        ]
        if unknown or not columns:
            raise ValueError(f"columns to count by: {', '.join(unknown) or 'none given'}")
        names = ", ".join(columns)
        query = f"SELECT {names}, count(*) FROM rows GROUP BY ALL ORDER BY ALL"
        return self._run(query, {})

    def _selection(self, wanted: RowFilter, marks: Marks | None) -> _Selection:
        """SQL made of constants alone; whatever was typed is a parameter."""
        if len(wanted.text) > _MAX_TEXT_CHARS:
            raise QueryError(
                f"the text to search for has {len(wanted.text):,} characters; "
                f"use at most {_MAX_TEXT_CHARS}."
            )
        if wanted.text_in not in get_args(TextField):
            raise QueryError(f'no text field "{wanted.text_in}"')
        conditions: list[str] = ["true"]
        values: dict[str, Any] = {}
        needle = _needle(wanted.text)
        if needle:
            column = "folded_texts" if wanted.text_in == "texts" else "folded_instruction"
            conditions.append(f"contains({column}, $text)")
            values["text"] = needle
        for column, chosen in (
            ("language", wanted.languages),
            ("task_type", wanted.task_types),
            ("modality", wanted.modalities),
            ("split", wanted.splits),
        ):
            if chosen:
                names = [f"{column}_{index}" for index in range(len(chosen))]
                conditions.append(f"{column} IN ({', '.join('$' + name for name in names)})")
                values |= dict(zip(names, chosen, strict=True))
        if wanted.licences:
            conditions.append("list_has_any(licences, $licences)")
            values["licences"] = list(wanted.licences)
        if wanted.images:
            conditions.append(
                "(list_contains($images, query_image) OR list_contains($images, positive_image) "
                "OR list_has_any(negative_images, $images))"
            )
            values["images"] = list(wanted.images)
        if wanted.max_lowest_score is not None:
            conditions.append("lowest_score <= $max_lowest_score")
            values["max_lowest_score"] = wanted.max_lowest_score
        listed = None
        chosen = self._chosen(wanted, marks)
        if chosen is not None:
            # Of the two halves the smaller one is handed over.
            is_minority = 2 * np.count_nonzero(chosen) <= len(chosen)
            listed = np.flatnonzero(chosen if is_minority else ~chosen).astype(np.int32)
            conditions.append(f"row {'' if is_minority else 'NOT '}IN (SELECT row FROM listed)")
        return _Selection(conditions, values, listed)

    def _run(
        self, query: str, values: dict[str, Any], listed: np.ndarray | None = None
    ) -> list[tuple[Any, ...]]:
        cursor = self.prepare().connection.cursor()
        try:
            if listed is not None:
                cursor.register("listed", pa.table({"row": listed}))
            return cursor.execute(query, values).fetchall()
        finally:
            cursor.close()

    def _chosen(self, wanted: RowFilter, marks: Marks | None) -> np.ndarray | None:
        """Mask of the rows that marks and a list of rows leave; None for all."""
        chosen: np.ndarray | None = None
        if wanted.marks:
            unknown = [name for name in wanted.marks if name not in (marks or {})]
            if marks is None or unknown:
                raise QueryError(f"no review mark {', '.join(unknown)}; choose another status.")
            chosen = np.logical_or.reduce([marks[name] for name in wanted.marks])
        if wanted.rows is not None:
            listed = np.zeros(len(self.dataset), dtype=bool)
            listed[_valid(wanted.rows, len(self.dataset))] = True
            chosen = listed if chosen is None else chosen & listed
        return chosen


def _needle(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise QueryError("the text to search for contains an unpaired surrogate. Type it again.")
    return fold_text(text.strip())


def _valid(rows: Sequence[int], num_rows: int) -> list[int]:
    return [row for row in rows if 0 <= row < num_rows]
