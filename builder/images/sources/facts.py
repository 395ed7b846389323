"""What a source says about an image: origin, licence and texts, under keys as people write them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

#: Keys without case, spaces and punctuation, the most telling first.
_KEYS = {
    "url": (
        *("url", "imageurl", "source", "sourceurl", "contenturl", "originalurl", "imgurl"),
        *("imgsrc", "src", "link", "pageurl", "landingurl"),
    ),
    "licence": (
        *("licence", "license", "licencename", "licensename", "licencetype", "licensetype"),
        *("licenceurl", "licenseurl", "licenceid", "licenseid", "rights", "usageterms"),
    ),
    "caption": ("caption", "text", "txt", "description", "title", "toptext", "prompt"),
    "alt_text": ("alt", "alttext", "alttxt", "altcaption"),
}
#: In an object that stands for one fact: `"license": {"name": "CC BY 4.0", "url": …}`.
_INNER_KEYS = ("spdx", "id", "name", "title", "url", "href", "value", "text", "raw")
_MAX_CHARS = {"url": 4_000, "licence": 500, "caption": 4_000, "alt_text": 4_000}
_MAX_JSON_BYTES = 1_000_000
_MAX_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an image; None where nothing is."""

    url: str | None = None
    licence: str | None = None
    caption: str | None = None
    alt_text: str | None = None

    def filled_from(self, other: "Facts") -> "Facts":
        """These facts; where one is missing, the other's."""
        return Facts(
            self.url or other.url,
            self.licence or other.licence,
            self.caption or other.caption,
            self.alt_text or other.alt_text,
        )


def facts_of(row: Mapping[Any, Any]) -> Facts:
    """The facts among a row's or a JSON object's values, whatever the case of its keys."""
    by_key: dict[str, Any] = {}
    for _, (key, value) in zip(range(_MAX_KEYS), row.items(), strict=False):
        by_key.setdefault(plain_key(key), value)
    return Facts(**{name: _first(by_key, name) for name in _KEYS})


def facts_of_json(data: bytes) -> Facts:
    """The facts in a JSON file; none if it is no JSON object, or too large to be about an image."""
    if len(data) > _MAX_JSON_BYTES:
        return Facts()
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Facts()
    return facts_of(row) if isinstance(row, dict) else Facts()


def facts_of_texts(texts: Mapping[str, bytes]) -> Facts:
    """The facts in text files beside an image, by their extension: `txt` has its caption."""
    row = {extension: data.decode("utf-8", "replace") for extension, data in texts.items()}
    return facts_of(row)


def is_fact_key(key: str) -> bool:
    """Whether a column or extension of this name holds one of the facts."""
    return any(plain_key(key) in names for names in _KEYS.values())


def url_columns(names: Iterable[str]) -> list[str]:
    """Those that are named like URLs, the most telling first."""
    by_key = {plain_key(name): name for name in names}
    return [by_key[key] for key in _KEYS["url"] if key in by_key]


def plain_key(key: object) -> str:
    """A key in lower case, letters and digits only."""
    return re.sub(r"[\W_]+", "", str(key)[:100]).lower()


def _first(by_key: Mapping[str, Any], fact: str) -> str | None:
    for key in _KEYS[fact]:
        text = _text(by_key.get(key), _MAX_CHARS[fact])
        if text:
            return text
    return None


def _text(value: Any, max_chars: int, *, depth: int = 2) -> str | None:
    """The text of a value: itself, the first of a list, or the telling one of an object."""
    if isinstance(value, bytes) and len(value) <= 4 * max_chars:
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.strip()[:max_chars] or None
    if depth == 0:
        return None
    parts: Iterable[Any] = ()
    if isinstance(value, list | tuple):
        parts = value[:10]
    elif isinstance(value, Mapping):
        inner = {plain_key(key): part for key, part in list(value.items())[:_MAX_KEYS]}
        parts = (inner.get(key) for key in _INNER_KEYS)
    found = (_text(part, max_chars, depth=depth - 1) for part in parts)
    return next((text for text in found if text), None)
