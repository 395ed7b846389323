"""One HTML file that needs no other: samples with pictures, prompts and replies beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from builder.images.data_url import encoded, scaled
from builder.images.database import ImageStoreError
from builder.images.store import ImageStore
from builder.samples.read import ShownSample
from schemas.pictures import PictureError
from schemas.vocabulary import LANGUAGES

#: A page holds at most so many samples; a browser still opens it at once.
MAX_SAMPLES = 500
#: On a page of so few, prompts and replies are open from the start.
_FEW_SAMPLES = 30
_PICTURE_SIDE_PX = 240
#: Bytes of pictures, as they stand in the page; later ones are left out, and it says so.
_MAX_PICTURE_BYTES = 24_000_000
_MAX_TEXT_CHARS = 12_000


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table above the samples: its title, heads, rows of cells, and a line below it."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(slots=True)
class _Pictures:
    """Turns image hashes into `data:` URLs until the page has its share of bytes."""

    store: ImageStore
    num_bytes: int = 0

    def url(self, sha256: str) -> str | None:
        """The picture, upright and small; None where it is missing or the page is full."""
        if self.num_bytes > _MAX_PICTURE_BYTES:
            return None
        try:
            data = scaled(self.store.read(sha256).data, _PICTURE_SIDE_PX)
        except (ImageStoreError, PictureError):
            return None
        url = encoded(data, "image/jpeg")
        self.num_bytes += len(url)
        return url


def render_page(
    samples: Sequence[ShownSample],
    store: ImageStore,
    *,
    title: str,
    lines: Sequence[str] = (),
    tables: Sequence[PageTable] = (),
) -> str:
    """The page as HTML; all text from the workspace is escaped, nothing is loaded from elsewhere.

    Args:
        samples: With their requests; at most `MAX_SAMPLES` are shown.
        store: Their pictures.
        title: Of the page.
        lines: Sentences below the title.
        tables: Figures above the samples.
    """
    pictures = _Pictures(store)
    shown = [_entry(sample, pictures) for sample in samples[:MAX_SAMPLES]]
    left_out = len(samples) - len(shown)
    more = (f"{left_out} more samples are left out of this page.",) if left_out > 0 else ()
    return _template().render(
        title=title,
        lines=(*lines, *more),
        tables=tables,
        entries=shown,
        is_open=len(shown) <= _FEW_SAMPLES,
    )


def _entry(sample: ShownSample, pictures: _Pictures) -> dict[str, Any]:
    language = LANGUAGES.get(sample.language)
    content = sample.sample or {}
    provenance = sample.provenance or {}
    return {
        "id": sample.id or sample.job_id,
        "state": "kept" if sample.reason is None else "dropped",
        "reason": sample.reason,
        "cell": f"{sample.task_type} {sample.modality}",
        "language": f"{language.name if language else ''} ({sample.language})",
        "code": sample.language,
        "direction": "rtl" if language and language.is_rtl else "ltr",
        "instruction": _cut(content.get("instruction")),
        "sides": _sides(content, pictures),
        "scores": [
            f"{name} {content[name]}"
            for name in ("relevance", "plausibility", "clarity", "diversity")
            if name in content
        ],
        "task_idea": _cut(provenance.get("task_idea")),
        "cost": None if sample.cost_usd is None else f"${sample.cost_usd:.6f}",
        "exchanges": [
            {
                "kind": exchange.kind,
                "model": exchange.model,
                "status": exchange.status,
                "error": _cut(exchange.error),
                "system": _cut(exchange.system),
                "user": _cut(exchange.user),
                "reply": _cut(exchange.reply),
            }
            for exchange in sample.exchanges
        ],
    }


def _sides(content: dict[str, Any], pictures: _Pictures) -> list[dict[str, Any]]:
    """Query, positive and hard negatives, each with its text and picture."""
    if not content:
        return []
    negatives = zip(
        content.get("negative_texts") or (), content.get("negative_images") or (), strict=False
    )
    named = [
        ("query", content.get("query_text"), content.get("query_image")),
        ("positive", content.get("positive_text"), content.get("positive_image")),
        *(("hard negative", text, image) for text, image in negatives),
    ]
    return [
        {
            "role": role,
            "text": _cut(text),
            "has_picture": image is not None,
            "picture": pictures.url(image) if image is not None else None,
        }
        for role, text, image in named
    ]


def _cut(text: Any) -> str:
    """At most so many characters of a text, with a word where there are more."""
    if not isinstance(text, str):
        return ""
    if len(text) <= _MAX_TEXT_CHARS:
        return text
    return f"{text[:_MAX_TEXT_CHARS]} … ({len(text) - _MAX_TEXT_CHARS:,} more characters)"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("builder.samples"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")
