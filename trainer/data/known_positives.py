"""Documents known to match a query anywhere in a dataset; they are never its negatives."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from trainer.data.items import Item, Row

# Q queries, N candidates

#: A query or a document apart from its language and instruction: its image's group, its text.
_Key = tuple[str | None, str | None]


class KnownPositives:
    """Matches that some row of the dataset states, in any language and in either direction.

    A text and an image that a row pairs match for every other row that has
    them, and so does every image of the same group; a picture matches its own
    group. What is known of an image alone also holds for a query of image and
    text, but for the hard negatives that the query's own row names: a question
    decides between answers that both fit the picture.

    Args:
        rows: All rows that are trained on.
        group_of: Group of an image, by sha256.
    """

    def __init__(self, rows: Iterable[Row], group_of: Callable[[str], str]) -> None:
        self._group_of = group_of
        self._documents: dict[_Key, set[_Key]] = {}
        for row in rows:
            self._add(self._query_key(row.query), self._document_key(row.positive))

    def _add(self, query: _Key, document: _Key) -> None:
        self._documents.setdefault(query, set()).add(document)
        if None in query:  # a text or an image alone can be on either side
            self._documents.setdefault(document, set()).add(query)

    def _query_key(self, item: Item) -> _Key:
        return (None if item.image is None else self._group_of(item.image), item.text)

    def _document_key(self, item: Item) -> _Key:
        """The image decides where there is one: its caption may be in any language."""
        if item.image is not None:
            return (self._group_of(item.image), None)
        return (None, item.text)

    def mask(
        self, queries: Sequence[Item], candidates: Sequence[Item], own: Sequence[set[Item]]
    ) -> Tensor:
        """True where a candidate is known to match a query.

        Args:
            queries: Distinct queries.
            candidates: Distinct documents.
            own: Hard negatives that the rows of each query name themselves.

        Returns:
            Boolean mask of shape (Q, N).
        """
        columns: dict[_Key, list[int]] = {}
        for column, candidate in enumerate(candidates):
            columns.setdefault(self._document_key(candidate), []).append(column)
        mask_QN = torch.zeros((len(queries), len(candidates)), dtype=torch.bool)
        for row, query in enumerate(queries):
            exact, loose = self._known(query)
            found = [column for key in _shared(exact, columns) for column in columns[key]]
            found += [
                column
                for key in _shared(loose, columns)
                for column in columns[key]
                if candidates[column] not in own[row]
            ]
            mask_QN[row, found] = True
        return mask_QN

    def _known(self, query: Item) -> tuple[set[_Key], set[_Key]]:
        """Documents that match the query itself, and those that match its image alone."""
        key = self._query_key(query)
        exact = self._documents.get(key, set())
        group = key[0]
        if group is None:
            return exact, set()
        picture: _Key = (group, None)
        own_group = {picture}
        if query.text is None:
            return exact | own_group, set()
        return exact, self._documents.get(picture, set()) | own_group


def _shared(keys: set[_Key], columns: dict[_Key, list[int]]) -> set[_Key]:
    """Keys of both; walks the smaller."""
    if len(keys) > len(columns):
        return {key for key in columns if key in keys}
    return {key for key in keys if key in columns}
