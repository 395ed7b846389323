"""Review events as rows of the published `reviews` config, and back."""

from typing import Any

import orjson

from schemas.review import ReviewEvent


def review_record(event: ReviewEvent) -> dict[str, Any]:
    """An event as a row; `review_event` undoes it.

    New values of edited fields are JSON, as one column holds texts and lists of them.
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

    An edit without new values is one all the same: it takes earlier edits back. Versions
    published before an event had some of its fields lack their columns.

    Raises:
        ValidationError: The row is no review event.
    """
    edits = {edit["field"]: orjson.loads(edit["value"]) for edit in record["edits"] or ()}
    facets = {facet["facet"]: facet["verdict"] for facet in record["facets"]}
    is_edit = record["kind"] in {"edit", "adjudicate"} and record["edits"] is not None
    return ReviewEvent.model_validate(
        {**record, "edits": edits if is_edit else None, "facets": facets}
    )
