"""Review events as rows of the published `reviews` config, and back."""

from typing import Any

import orjson

from schemas.review import ReviewEvent


def review_record(event: ReviewEvent) -> dict[str, Any]:
    """An event as a row; `review_event` is its inverse.

    New values of edited fields are JSON, as one column has both texts and lists of texts.
    """
    edits = event.edits.model_dump(exclude_none=True) if event.edits else {}
    return {
        **event.model_dump(exclude={"edits", "facets", "reasons"}),
        "reasons": list(event.reasons),
        "facets": [{"facet": name, "verdict": value} for name, value in event.facets.items()],
        "edits": None
        if event.kind == "adjudicate" and event.edits is None
        else [
            {"field": name, "value": orjson.dumps(value).decode()} for name, value in edits.items()
        ],
    }


def review_event(record: dict[str, Any]) -> ReviewEvent:
    """A row as the event it was.

    An edit without new values is kept as an edit: it takes earlier edits back. Older versions
    lack the columns of fields that events did not have yet.

    Raises:
        ValidationError: The row is not a review event.
    """
    edits = {edit["field"]: orjson.loads(edit["value"]) for edit in record["edits"] or ()}
    facets = {facet["facet"]: facet["verdict"] for facet in record["facets"]}
    is_edit = record["kind"] in {"edit", "adjudicate"} and record["edits"] is not None
    return ReviewEvent.model_validate(
        {**record, "edits": edits if is_edit else None, "facets": facets}
    )
