"""Long answers in pages, the next one named by a `Link` header."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

from builder.local_hub.calls import Call
from builder.local_hub.errors import bad_request

Item = TypeVar("Item")


def page_of(
    call: Call, items: Sequence[Item], key: Callable[[Item], str]
) -> tuple[Sequence[Item], dict[str, str]]:
    """The page a request asks for, and the headers that lead to the next.

    Args:
        call: The request; `limit` and `cursor` in its query choose the page.
        items: Everything, always in the same order.
        key: Names an item; the cursor is the key of the last item already sent.
    """
    limit = min(requested_limit(call) or 1 << 30, call.hub.limits.page_entries)
    start = 0
    cursor = call.query.get("cursor")
    if cursor is not None:
        start = next((i + 1 for i, item in enumerate(items) if key(item) == cursor), -1)
        if start < 0:
            raise bad_request("The cursor does not belong to this listing: start again")
    page = items[start : start + limit]
    if start + len(page) >= len(items):
        return page, {}
    query = [(k, v) for k, v in call.query.multi_items() if k != "cursor"]
    query.append(("cursor", key(page[-1])))
    return page, {
        "Link": f'<{call.origin}{call.path}?{urlencode(query, quote_via=quote)}>; rel="next"'
    }


def requested_limit(call: Call) -> int | None:
    """The number of items that a request wants, `None` if it does not say."""
    text = call.query.get("limit", "")
    return (int(text[:9]) or None) if text.isdecimal() else None
