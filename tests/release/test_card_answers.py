"""What a person says in `card:` of the configuration, in the card and in croissant.json."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from builder.card_config import CardConfig
from builder.config import BuildConfig, load_config, save_config
from builder.release import Version, open_inputs, release
from builder.release.about.answers import card_answers
from builder.release.about.markdown import paragraphs, prose
from builder.release.build import published_config
from tests.release.small_workspace import small_workspace

LINES = ("curated_by", "funded_by", "shared_by", "contact", "homepage", "paper", "demo", "authors")
TEXTS = tuple(name for name in CardConfig.model_fields if name not in (*LINES, "citation"))
#: Every kind of Markdown and HTML that would show as something else than it is.
HOSTILE = (
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "1) item",
    "+ item",
    "=====",
    "-----",
    "| a | b |",
    "```\ncode",
    "    indented",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "[a](http://x.org) ![b](http://y.org)",
    "[ref]: http://x.org",
    "**bold** _it_ ~~gone~~ `code` $x$",
    "&lt;b&gt; &copy;",
    "\\# escaped \\",
    "a  \nb",
    "{{ 7 * 7 }} {% raw %}",
)


def tokens_of(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def plain(tokens: list[Token]) -> str:
    """The text a reader sees, blocks joined by newlines."""
    return "\n".join(
        "".join(child.content for child in token.children or [])
        for token in tokens
        if token.type == "inline"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_an_answer_shows_as_it_was_written(text: str) -> None:
    tokens = tokens_of(prose(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    kinds = {child.type for child in tokens[1].children or []}
    assert kinds <= {"text", "text_special", "link_open", "link_close"}
    assert plain(tokens) == " ".join(text.split())
    items = tokens_of(paragraphs([text, "second"]))
    assert [token.type for token in items].count("list_item_open") == 2
    assert plain(items) == " ".join(text.split()) + "\nsecond"


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("See https://example.org/a_b*c?d=1&e=2.", ["https://example.org/a_b*c?d=1&e=2"]),
        ("(http://x.org/), me_x@example.org", ["http://x.org/", "mailto:me_x@example.org"]),
        ("javascript:alert(1) data:text/html,x file:///etc", []),
        ("https://x.org/<script>", ["https://x.org/"]),
    ],
)
def test_only_addresses_become_links(text: str, links: list[str]) -> None:
    (inline,) = (token for token in tokens_of(prose(text)) if token.type == "inline")
    found = [c.attrs["href"] for c in inline.children or [] if c.type == "link_open"]
    assert found == links
    assert "".join(child.content for child in inline.children or []) == text


def test_unanswered_headings_are_left_out() -> None:
    answers = card_answers(CardConfig())
    assert not any(answers.values())
    blank = dict.fromkeys(CardConfig.model_fields, " \n ")
    assert card_answers(CardConfig.model_validate(blank)) == answers


@pytest.mark.parametrize("name", [*LINES, *TEXTS, "citation"])
def test_every_answer_stands_in_the_card(name: str) -> None:
    answers = card_answers(CardConfig.model_validate({name: "My answer"}))
    assert sum("My answer" in str(part) for part in answers.values()) == 1


def test_answers_decide_neither_plan_nor_workspace() -> None:
    said = BuildConfig(card=CardConfig(summary="x", citation="@misc{x}"))
    assert said.plan_hash == BuildConfig().plan_hash
    assert said.workspace_hash == BuildConfig().workspace_hash


@pytest.mark.parametrize("name", [*TEXTS, "citation", *LINES])
def test_answers_are_bounded(name: str) -> None:
    with pytest.raises(ValueError, match="String should have at most"):
        CardConfig.model_validate({name: "x" * 20_001})


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose every question is answered, with hostile words."""
    workspace = small_workspace(tmp_path_factory.mktemp("answers") / "ws", num_rows=40)
    config = load_config(workspace.config_path)
    said: dict[str, Any] = {name: [f"{name}: {text}" for text in HOSTILE] for name in TEXTS}
    said |= {name: f"{name} # <b>x</b> | https://x.org" for name in LINES}
    config.card = CardConfig.model_validate({**said, "citation": "@misc{own,\n title={``` x}\n}"})
    save_config(config, workspace.config_path)
    with open_inputs(workspace, None) as inputs:
        return release(inputs, Version.parse("0.1.0"), workspace.releases_dir).directory


def test_hostile_answers_add_no_heading_and_no_markup(answered: Path) -> None:
    body = (answered / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    tokens = tokens_of(body)
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert headings == [
        *("small", "Samples", "Uses", "Direct use", "Out-of-scope use", "Loading"),
        *("How it was made", "Curation rationale", "Source data producers", "Annotations"),
        *(
            "Coverage",
            "Quality",
            "Broad scope",
            "Cross-modal alignment",
            "High fidelity",
            "All rows",
        ),
        *("Licences", "Limits", "Biases and risks"),
        *("Personal and sensitive information", "Social impact", "Recommendations", "Changelog"),
        *("Maintenance", "More information", "Citation"),
    ]
    inside = [child for token in tokens for child in token.children or []]
    assert not [token for token in inside if token.type == "html_inline"]
    bibtex = [token.content for token in tokens if token.type == "fence" and token.info == "bibtex"]
    assert bibtex[0] == "@misc{own,\n title={``` x}\n}\n" and "chen2025mme5" in bibtex[1]
    seen = plain(tokens)
    for name in TEXTS:
        for text in HOSTILE:
            assert f"{name}: {' '.join(text.split())}" in seen


def test_the_published_configuration_keeps_answers_and_opens_again(answered: Path) -> None:
    config = load_config(answered / "config.yaml")
    assert config.card.curated_by == "curated_by # <b>x</b> | https://x.org"
    # Without answers, programs that do not know the field must read it too.
    assert "card" not in published_config(BuildConfig())


def metadata(directory: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlcroissant

        dataset = mlcroissant.Dataset(str(directory / "croissant.json"))
        assert not dataset.metadata.ctx.issues.errors
        return dataset.metadata


def test_croissant_1_1_holds_the_answers_and_what_is_known(answered: Path) -> None:
    content = json.loads((answered / "croissant.json").read_bytes())
    assert content["conformsTo"] == [
        "http://mlcommons.org/croissant/1.1",
        "http://mlcommons.org/croissant/RAI/1.0",
    ]
    found = metadata(answered)
    assert found.ctx.is_v1_1()
    assert "test-teacher" in found.data_collection and "Synthetic" in found.data_collection
    assert found.machine_annotation_tools == ["test-teacher"]
    assert set(found.in_language) == {"en", "fr", "ar", "ja", "hi", "ru"}
    assert found.cite_as.startswith("@misc{own")
    assert [creator.name for creator in found.creators] == ["curated_by # <b>x</b> | https://x.org"]
    assert "biases: # heading" in found.data_biases
    assert "limits: # heading" in found.data_limitations
    assert "out_of_scope_use: # heading" in found.data_limitations
    assert found.personal_sensitive_information[0] == "personal_information: # heading"
    assert "direct_use: # heading" in found.data_use_cases
    assert "social_impact: # heading" in found.data_social_impact
    assert "maintenance: # heading" in found.data_release_maintenance_plan
    known = set(re.findall(r'"rai:(\w+)"', (answered / "croissant.json").read_text()))
    read = {name for name, value in vars(found).items() if value}
    assert {"data_collection_type", "data_annotation_protocol", "annotations_per_item"} <= read
    assert "dataCollectionRawData" in known
