"""Headings of the card that only a person can fill, from `card:` in the configuration.

Their names are those of the Hub's template for dataset cards.

Source: huggingface/huggingface_hub, templates/datasetcard_template.md.
"""

from builder.card_config import CardConfig
from builder.release.about.markdown import code_block, paragraphs, prose

_FACTS = {
    "curated_by": "Curated by",
    "funded_by": "Funded by",
    "shared_by": "Shared by",
    "contact": "Contact",
    "homepage": "Homepage",
    "paper": "Paper",
    "demo": "Demo",
    "authors": "Card authors",
}
#: Fields and headings by the part of the card where they stand.
_SECTIONS = {
    "uses": {"direct_use": "Direct use", "out_of_scope_use": "Out-of-scope use"},
    "creation": {
        "curation_rationale": "Curation rationale",
        "source_producers": "Source data producers",
        "annotations": "Annotations",
    },
    "limits": {
        "biases": "Biases and risks",
        "personal_information": "Personal and sensitive information",
        "social_impact": "Social impact",
        "recommendations": "Recommendations",
    },
    "more": {"maintenance": "Maintenance", "more_information": "More information"},
}


def card_answers(config: CardConfig) -> dict[str, str | bool]:
    """Markdown by part of the card, "" where nothing was answered.

    Parts are summary, facts, own_limits, citation, and those of several
    headings: uses, creation, limits, more. `has_personal_information` says
    whether that question was answered.
    """
    facts = [
        f"- **{name}:** {text}"
        for field, name in _FACTS.items()
        if (text := prose(getattr(config, field) or ""))
    ]
    citation = (config.citation or "").strip()
    personal = paragraphs(config.personal_information or "")
    return {
        "summary": paragraphs(config.summary or ""),
        "facts": "\n".join(facts),
        "has_personal_information": bool(personal),
        "own_limits": paragraphs(config.limits or ""),
        "citation": code_block(citation, "bibtex") if citation else "",
        **{part: _section(config, headings) for part, headings in _SECTIONS.items()},
    }


def _section(config: CardConfig, headings: dict[str, str]) -> str:
    return "\n\n".join(
        f"### {heading}\n\n{text}"
        for field, heading in headings.items()
        if (text := paragraphs(getattr(config, field) or ""))
    )
