"""Rows as a model can take them: fused rows are split for a model without fused input."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from trainer.data.items import Item, ItemModality, Row


@dataclass(slots=True)
class FittedRows:
    """Rows whose items a model takes, and what happened to the others.

    Args:
        rows: In published order; parts of a row follow one another.
        num_split: Published rows with a fused side that were split, by cell.
        num_left_out: Published rows that were dropped, by cell.
    """

    rows: list[Row] = field(default_factory=list)
    num_split: Counter[str] = field(default_factory=Counter)
    num_left_out: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str | None:
        """One line on what the model could not take as it is; None where it takes all."""
        parts: list[str] = []
        if self.num_split:
            parts.append(
                f"{self.num_split.total():,} rows with image and text on one side are trained "
                f"on as text-image pairs ({_counts(self.num_split)})"
            )
        if self.num_left_out:
            parts.append(
                f"{self.num_left_out.total():,} rows are left out, as this model cannot take "
                f"them ({_counts(self.num_left_out)})"
            )
        return "; ".join(parts) or None


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{cell} {count:,}" for cell, count in sorted(counts.items()))


def fit_rows(rows: Sequence[Row], takes: Collection[ItemModality]) -> FittedRows:
    """Rows as a model takes them.

    A model of texts, images and both gets every row as published. One without
    fused input, a dual encoder, gets text-image pairs about one image: a
    fused query or document is its image where the other side is a text, and
    each fused document, hard negatives included, is a pair of its own text
    and image. All of these have the text as query, so that both directions
    of the loss see texts of all kinds against images of all kinds; the
    instruction is left out. I->I rows and what has no such pair are left out.

    Args:
        rows: Published rows.
        takes: Items the model takes, see `Encoder.takes`.
    """
    fitted = FittedRows()
    for row in rows:
        if all(item.modality in takes for item in row.items) and "IT" in takes:
            fitted.rows.append(row)
            continue
        parts = list(_text_image_pairs(row)) if {"T", "I"} <= set(takes) else []
        if not parts:
            fitted.num_left_out[row.cell] += 1
            continue
        if "IT" in (row.query.modality, row.positive.modality):
            fitted.num_split[row.cell] += 1
        fitted.rows += parts
    return fitted


def _text_image_pairs(row: Row) -> Iterator[Row]:
    """The text-image pairs that a row states, the text as query."""
    query_side, document_side = row.modality.split("->")
    if query_side == "T":
        yield _pair(
            row,
            "query",
            Item(text=row.query.text),
            Item(image=row.positive.image),
            negatives=_images(row.negatives),
        )
    elif document_side == "T":
        yield _pair(
            row,
            "answer",
            Item(text=row.positive.text),
            Item(image=row.query.image),
            query_negatives=_texts(row.negatives),
        )
    if document_side == "IT":
        documents = (row.positive, *row.negatives)
        for number, document in enumerate(documents):
            if document.text is None or document.image is None:
                continue
            others = tuple(other for other in documents if other is not document)
            yield _pair(
                row,
                f"document-{number}",
                Item(text=document.text),
                Item(image=document.image),
                negatives=_images(others),
                query_negatives=_texts(others),
            )


def _pair(
    row: Row,
    part: str,
    text: Item,
    image: Item,
    negatives: tuple[Item, ...] = (),
    query_negatives: tuple[Item, ...] = (),
) -> Row:
    return replace(
        row,
        id=f"{row.id}/{part}",
        modality="T->I",
        query=text,
        positive=image,
        negatives=negatives,
        query_negatives=query_negatives,
    )


def _texts(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(Item(text=item.text) for item in items if item.text is not None)


def _images(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(Item(image=item.image) for item in items if item.image is not None)
