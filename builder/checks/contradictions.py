"""Finds samples that call wrong what another calls right for the same query, or the reverse."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Digests of a query, and of a query with one of its documents.
_Key = bytes


def find_contradictions(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Samples that contradict an earlier one; the first of each stays.

    The query is its text and image; without a text the instruction stands for it, as the same
    picture may be asked about in different ways. A document is its text and image.

    Args:
        rows: Job id and the sample's fields, in job order.

    Returns:
        Job id to reason: `contradicts_another`.
    """
    found: dict[str, str] = {}
    for _ in without_contradictions(rows, found):
        pass
    return found


def without_contradictions(
    rows: Iterable[tuple[str, Mapping[str, Any]]], found: dict[str, str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows that `find_contradictions` lets stay, one by one; the others go into `found`."""
    right: set[_Key] = set()
    wrong: set[_Key] = set()
    for job_id, row in rows:
        query = (
            row["task_type"],
            _folded(row["query_text"] or row["instruction"]),
            row["query_image"],
        )
        positive = _digest(*query, _folded(row["positive_text"]), row["positive_image"])
        negatives = [
            _digest(*query, _folded(text), image)
            for text, image in zip(row["negative_texts"], row["negative_images"], strict=True)
        ]
        if positive in wrong or not right.isdisjoint(negatives):
            found[job_id] = "contradicts_another"
            continue
        right.add(positive)
        wrong.update(negatives)
        yield job_id, row


def _folded(text: str | None) -> str | None:
    return None if text is None else " ".join(text.casefold().split())


def _digest(*parts: str | None) -> _Key:
    joined = "\x1f".join("\x00" if part is None else part for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=12).digest()
