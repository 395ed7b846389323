"""`LICENSE.md`: each source of a release with its licence, and the notices that must come along."""

from collections.abc import Iterator, Sequence

from builder.images.pictograms import STYLES, notice
from builder.release.licences import LEXICON_LICENCE, OTHER, UNKNOWN, Terms, is_lexicon
from builder.release.markdown import table_text

#: Corpora of single web hosts have tens of thousands; each image's own stands in provenance.
_MAX_SOURCES = 1_000
_WORDS_FROM = {
    "Names and keywords, from the Unicode CLDR": "cldr-Unicode-3.0.txt",
    "Names of categories, from emojibase": "emojibase-MIT.txt",
}


def licence_file(title: str, terms: Sequence[Terms]) -> str:
    """The file's text, Markdown.

    Args:
        title: Of the data set.
        terms: In the order in which they are to stand.
    """
    rows = [
        f"| {entry.kind} | {table_text(entry.source)} | {said(entry)} | {entry.num:,} |"
        for entry in terms[:_MAX_SOURCES]
    ]
    if len(terms) > _MAX_SOURCES:
        rows.append(f"| … and {len(terms) - _MAX_SOURCES:,} more | | | |")
    lines = [
        f"# Licences of {table_text(title)}",
        "",
        "No one licence covers the whole: texts and images keep the terms of where they come from.",
        "Column `images` of config `provenance` names source and licence of every image.",
        "",
        "| what | source | licence | samples or images |",
        "|---|---|---|---:|",
        *rows,
    ]
    for heading, text in _notices(terms):
        lines += ["", f"## {table_text(heading)}", "", "```text", text.strip(), "```"]
    return "\n".join(lines) + "\n"


def said(entry: Terms) -> str:
    """A licence in words, as it may stand in a table."""
    if entry.licence == UNKNOWN:
        return "not stated by the source"
    if entry.kind == "texts" and entry.licence == OTHER:
        return "the terms of the model's provider"
    return table_text(entry.licence)


def _notices(terms: Sequence[Terms]) -> Iterator[tuple[str, str]]:
    """Heading and licence text of the bundled sources, which ask that it be passed on."""
    sources = {entry.source for entry in terms if entry.kind == "images"}
    for style in STYLES.values():
        if style.source in sources:
            heading = f"Drawings of {style.source}, by {style.credit} ({style.licence})"
            yield heading, notice(style.notice_file)
    if any(is_lexicon(entry.source) and entry.licence == LEXICON_LICENCE for entry in terms):
        for heading, name in _WORDS_FROM.items():
            yield heading, notice(name)
