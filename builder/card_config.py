"""The `card:` block of the configuration: what only a person can say in the dataset card."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

CardLine = Annotated[str, Field(max_length=500)]
#: One paragraph for each blank line; a list is shown as bullet points.
CardText = (
    Annotated[str, Field(max_length=20_000)]
    | Annotated[list[Annotated[str, Field(max_length=5_000)]], Field(max_length=100)]
)


class CardConfig(BaseModel):
    """What only a person can say in the dataset card; headings without an answer are left out.

    Plain text: it is shown as written, and only web addresses become links.

    Args:
        summary: What the dataset is, in a few sentences below the title.
        curated_by: Person or organisation; also `creator` in `croissant.json`.
        funded_by: Who paid for it.
        shared_by: Who publishes it, if somebody else.
        contact: E-mail or web address.
        homepage: Web page of the dataset or its project.
        paper: Web address of the paper about this dataset.
        demo: Web address of a demo.
        curation_rationale: Why it was made.
        direct_use: What it is meant for.
        out_of_scope_use: What it is not meant for, or would not serve well.
        annotations: Who reviewed or annotated rows, and by which guidelines.
        source_producers: Who made the source images.
        personal_information: Whether it shows or names persons, and what was done about that.
        biases: Known biases and risks.
        limits: Known limits, besides those the card states of itself.
        recommendations: What users should do about them.
        social_impact: What its use may do to people.
        maintenance: Who maintains it, and how errors are reported.
        citation: BibTeX of this dataset.
        more_information: Anything else.
        authors: Who wrote these answers.
    """

    model_config = ConfigDict(extra="forbid")

    summary: CardText | None = None
    curated_by: CardLine | None = None
    funded_by: CardLine | None = None
    shared_by: CardLine | None = None
    contact: CardLine | None = None
    homepage: CardLine | None = None
    paper: CardLine | None = None
    demo: CardLine | None = None
    curation_rationale: CardText | None = None
    direct_use: CardText | None = None
    out_of_scope_use: CardText | None = None
    annotations: CardText | None = None
    source_producers: CardText | None = None
    personal_information: CardText | None = None
    biases: CardText | None = None
    limits: CardText | None = None
    recommendations: CardText | None = None
    social_impact: CardText | None = None
    maintenance: CardText | None = None
    citation: Annotated[str, Field(max_length=20_000)] | None = None
    more_information: CardText | None = None
    authors: CardLine | None = None
