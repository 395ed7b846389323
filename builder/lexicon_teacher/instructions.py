"""Compose varied English instructions for each cell from templates, seed and task idea."""

import re
from random import Random

from schemas.vocabulary import Cell

_OPENINGS = {
    "classification": (
        "Classify {given}",
        "Sort {given} into the right class",
        "Assign {given} its label",
        "Name the class of {given}",
        "Choose the label that fits {given}",
        "Decide which label belongs to {given}",
        "Tag {given} with the fitting term",
        "Label {given}",
    ),
    "vqa": (
        "Answer the question about {given}",
        "Look at {given} and answer the question",
        "Use {given} to answer the question",
        "Give the answer that {given} supports",
        "Reply to the question asked about {given}",
        "Find the right answer to the question about {given}",
    ),
    "retrieval": (
        "Find {target} that {relation} {given}",
        "Retrieve {target} that {relation} {given}",
        "Pick out {target} that {relation} {given}",
        "Locate {target} that {relation} {given}",
        "Select {target} that {relation} {given}",
        "Search for {target} that {relation} {given}",
        "Look up {target} that {relation} {given}",
        "Given {given}, return {target} that {relation} it",
    ),
}
_DRAWINGS = ("pictogram", "drawing", "picture", "icon", "illustration", "image")
_GIVEN = {
    "I": ("the {drawing}", "this {drawing}", "the {drawing} shown", "the query {drawing}"),
    "T": ("the words", "the query text", "the short description", "the name or keywords given"),
    "IT": (
        "the {drawing} and the words beside it",
        "the {drawing} together with its note",
        "the {drawing} read with the text",
        "the {drawing} as the text qualifies it",
    ),
}
_TARGETS = {
    "I": ("a {drawing}", "the right {drawing}", "the {drawing}", "the one {drawing}"),
    "T": ("the name and keywords", "a short description", "the dictionary entry", "the caption"),
    "IT": (
        "the captioned {drawing}",
        "a {drawing} with its description",
        "the illustrated entry",
        "the {drawing} with the caption",
    ),
}
_RELATIONS = ("matches", "fits", "goes with", "corresponds to", "belongs to", "best agrees with")
_PURPOSES = (
    "a children's picture dictionary",
    "an emoji keyboard",
    "a language course for beginners",
    "a museum's visitor guide",
    "a travel phrase book",
    "a messaging app's sticker search",
    "a board for people who speak with symbols",
    "a school worksheet",
    "a restaurant menu",
    "a city's way-finding signs",
    "a weather report",
    "a calendar of local events",
    "a shop's category page",
    "a video game's inventory",
    "a memory card game",
    "a crossword with pictures",
    "a health information leaflet",
    "a volunteer's field manual",
    "a sports results page",
    "a news app's topic list",
    "an airport's information screen",
    "a recipe collection",
    "a zoo's enclosure labels",
    "a slide for a lecture",
    "a greeting card",
    "an instruction manual without text",
    "a social media post",
    "a quiz night",
    "an accessibility description",
    "a translation memory",
    "a data set of everyday objects",
    "a phone's search field",
    "a library's picture index",
    "a chat between friends",
    "a website's navigation bar",
    "a presentation template",
)
_CAUTIONS = (
    "Mind small differences between similar drawings.",
    "The style of drawing does not matter, only what is shown.",
    "Related things are not enough.",
    "Prefer the most specific match.",
    "Ignore colour unless it changes the meaning.",
    "Words may be in any language.",
    "Only one candidate is right.",
    "What is shown counts, not how it is drawn.",
    "Near misses from the same family are wrong.",
    "Judge by meaning rather than by shape.",
)
_MAX_USE_CHARS = 60


def write_instruction(cell: Cell, task_idea: str, rng: Random) -> str:
    """One instruction, in one of some hundred thousand forms per cell.

    Only the part of a task idea that starts with "for" is used ("for a travel guide"): a
    lexicon knows nothing of seasons or offers, and an instruction must not ask for what the
    texts do not have.
    """
    query_modality, document_modality = cell.modality.split("->")
    drawing = rng.choice(_DRAWINGS)
    sentence = rng.choice(_OPENINGS[cell.task_type]).format(
        given=rng.choice(_GIVEN["I" if cell.task_type == "vqa" else query_modality]),
        target=rng.choice(_TARGETS[document_modality]),
        relation=rng.choice(_RELATIONS),
    )
    sentence = sentence.format(drawing=drawing)
    sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence)
    parts = [part.strip().rstrip(".") for part in task_idea.split(";")]
    uses = [part for part in parts if part.startswith("for ") and len(part) <= _MAX_USE_CHARS]
    use = uses[0] if uses and rng.random() < 0.7 else f"for {rng.choice(_PURPOSES)}"
    sentence = f"{sentence}, {use}."
    return f"{sentence} {rng.choice(_CAUTIONS)}" if rng.random() < 0.6 else sentence
