"""A found row as the search page shows it: cells of a table, a card of the grid."""

from typing import Any

from curation_app.data.query import FoundRow

COLUMNS = ["id", "language", "task", "modality", "query", "positive", "hard negatives"]
#: Those of a reviewer, then what a lead sees besides.
COLUMN_WIDTHS: list[str | int] = ["230px", "100px", "130px", "100px", "280px", "280px", "280px"]
COLUMN_WIDTHS += ["130px", "120px", "100px", "100px"]
LEAD_COLUMNS = ["status", "lowest score", "alignment", "split"]


def cells_of(row: FoundRow) -> list[str]:
    """The row under `COLUMNS`."""
    negatives = [text for text in row.negative_texts if text is not None]
    return [
        *(row.id, row.language, row.task_type, row.modality),
        *(row.query_text or "", row.positive_text or "", "\n".join(negatives)),
    ]


def lead_cells(row: FoundRow, marks: str) -> list[str]:
    """The row under `LEAD_COLUMNS`; `marks` says where its review stands."""
    lowest = min(row.relevance, row.plausibility, row.clarity, row.diversity)
    alignment = "" if row.alignment is None else f"{row.alignment:.3f}"
    return [marks, str(lowest), alignment, row.split]


def card_of(row: FoundRow) -> dict[str, Any]:
    """A row as the grid takes it; pictures come from the app's own thumbnails."""
    texts = [("query", row.query_text), ("positive", row.positive_text)]
    return {
        "id": row.id,
        "language": row.language,
        "task_type": row.task_type,
        "modality": row.modality,
        "texts": [[role, text] for role, text in texts if text is not None],
        "pictures": [
            {"place": place, "address": f"thumbnails/{row.id}/{place}/{sha256[:16]}.webp"}
            for place, sha256 in row.pictures
        ],
    }
