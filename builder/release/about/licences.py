"""The licences of a release's texts and images, source by source, and under the Hub's names."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from builder.images.pictograms import STYLES, notice
from builder.release.about.counts import ReleaseCounts
from builder.release.about.markdown import table_text

LICENCE_FILE = "LICENSE.md"
#: Models with this prefix compose texts from a lexicon, which card and licences say.
LEXICON_PREFIX = "lexicon"
LEXICON_LICENCE = "Unicode-3.0"
#: The Hub's identifiers for a licence without one, and for one that nobody stated.
OTHER, UNKNOWN = "other", "unknown"

#: Identifiers of the Hub. Source: huggingface/hub-docs, docs/hub/repositories-licenses.md.
HUB_LICENCES = frozenset(
    " ".join(
        (
            "afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0",
            "bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda",
            "cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0",
            "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0",
            "cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0",
            "cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license",
            "ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 gemma gfdl gpl gpl-2.0 gpl-3.0 isc lgpl",
            "lgpl-2.1 lgpl-3.0 lgpl-lr llama2 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1",
            "openrail openrail++ osl-3.0 pddl postgresql unknown unlicense wtfpl zlib",
        )
    ).split()
)
#: Other names of the same.
_ALIASES = {
    "apache-2": "apache-2.0",
    "cc-zero": "cc0-1.0",
    "cc0": "cc0-1.0",
    "gfdl-1.2": "gfdl",
    "gfdl-1.3": "gfdl",
    "mit-license": "mit",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
}
_CC_ADDRESS = re.compile(
    r"creativecommons\.org/(?:licenses/([a-z-]+)|publicdomain/(zero))/([\d.]+)"
)


@dataclass(frozen=True, slots=True, order=True)
class Terms:
    """The licence of what came from one source.

    Args:
        kind: Texts are counted by sample, each image once.
        source: A model, or the source of images.
        licence: As the source states it; "other" for the terms of a model's provider.
        num: Samples or images.
    """

    kind: Literal["texts", "images"]
    source: str
    licence: str
    num: int


def is_lexicon(model: str) -> bool:
    return model.startswith(LEXICON_PREFIX)


def terms_of(counts: ReleaseCounts, text_licence: str) -> list[Terms]:
    """Terms of a release: of its texts by model, then of its images by source.

    Args:
        counts: Counts of the release.
        text_licence: Given to the texts by whoever makes the release, or
            "other"; words of a lexicon also keep the lexicon's.
    """
    models: Counter[str] = Counter()
    for (model, _), num in counts.teachers.items():
        models[model] += num
    texts: list[Terms] = []
    for model, num in sorted(models.items()):
        if is_lexicon(model):
            texts.append(Terms("texts", model, LEXICON_LICENCE, num))
        if not is_lexicon(model) or text_licence != OTHER:
            texts.append(Terms("texts", model, text_licence, num))
    images = [Terms("images", *entry) for entry in counts.licences_by_source()]
    return [*texts, *images]


def hub_licence(name: str) -> str:
    """The Hub's identifier of a licence: from its SPDX identifier or a Creative Commons address."""
    plain = re.sub(r"[\s_]+", "-", name.strip().lower())
    address = _CC_ADDRESS.search(plain)
    if address:
        kind, zero, version = address.groups()
        plain = f"cc0-{version}" if zero else f"cc-{kind}-{version}"
    plain = plain.removesuffix("-only").removesuffix("-or-later")
    plain = _ALIASES.get(plain, plain)
    return plain if plain in HUB_LICENCES else OTHER


def licence_head(terms: Sequence[Terms]) -> dict[str, Any]:
    """What the card's metadata says about licences.

    A single licence is named alone. Of several, each covers one part, whereas a
    plain list would offer a choice; so "other" is added, which links to the file
    that lists the parts.
    """
    found = {hub_licence(entry.licence) for entry in terms}
    if len(found) == 1 and not found & {OTHER, UNKNOWN}:
        return {"license": found.pop()}
    return {
        "license": sorted(found | {OTHER}) if found - {OTHER} else OTHER,
        "license_name": _name_of_other(terms),
        "license_link": LICENCE_FILE,
    }


def licence_names(terms: Sequence[Terms]) -> list[str]:
    """Every licence by name, sorted; the licence file in place of one without a name."""
    unnamed = {OTHER, UNKNOWN}
    names = {LICENCE_FILE if entry.licence in unnamed else entry.licence for entry in terms}
    return sorted(names, key=lambda name: (name == LICENCE_FILE, name))


def _name_of_other(terms: Sequence[Terms]) -> str:
    """The only licence that the Hub does not know, else "by-source"."""
    names = {entry.licence for entry in terms if hub_licence(entry.licence) == OTHER}
    name = re.sub(r"[^a-z0-9.]+", "-", names.pop().lower()).strip("-") if len(names) == 1 else ""
    return name if name not in ("", OTHER) else "by-source"


#: Corpora from the web have tens of thousands; provenance names the source of each image.
_MAX_SOURCES = 1_000
_WORDS_FROM = {
    "Names and keywords, from the Unicode CLDR": "cldr-Unicode-3.0.txt",
    "Names of categories, from emojibase": "emojibase-MIT.txt",
}


def licence_file(title: str, terms: Sequence[Terms]) -> str:
    """The file's text, Markdown.

    Args:
        title: The data set's.
        terms: Licences in the order of the table.
    """
    rows = [
        f"| {entry.kind} | {table_text(entry.source)} | {licence_label(entry)} | {entry.num:,} |"
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


def licence_label(entry: Terms) -> str:
    """A licence as a cell of a table."""
    if entry.licence == UNKNOWN:
        return "not stated by the source"
    if entry.kind == "texts" and entry.licence == OTHER:
        return "the terms of the model's provider"
    return table_text(entry.licence)


def _notices(terms: Sequence[Terms]) -> Iterator[tuple[str, str]]:
    """Heading and licence text of each bundled source, whose licence demands a copy."""
    sources = {entry.source for entry in terms if entry.kind == "images"}
    for style in STYLES.values():
        if style.source in sources:
            heading = f"Drawings of {style.source}, by {style.credit} ({style.licence})"
            yield heading, notice(style.notice_file)
    if any(is_lexicon(entry.source) and entry.licence == LEXICON_LICENCE for entry in terms):
        for heading, name in _WORDS_FROM.items():
            yield heading, notice(name)
