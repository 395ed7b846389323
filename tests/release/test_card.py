"""The card: what the Hub reads of it, what people read, and that no row's text is markup."""

import hashlib
import json
import re
from typing import Any

import orjson
import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from builder.ledger.ledger import Ledger
from builder.release import Version, open_inputs, release
from builder.release.about.card_head import card_head, size_category
from builder.release.about.licences import Terms
from builder.workspace import Workspace
from tests.release.small_workspace import kept_samples

HOSTILE = "end\n```\n````\n<script>alert(1)</script> | ![x](http://x) \u202eabc\u202c"


def card(workspace: Workspace) -> tuple[dict[str, Any], list[Token]]:
    """A release's card: its metadata, and its body as a Markdown reader takes it."""
    with open_inputs(workspace, None) as inputs:
        directory = release(inputs, Version.parse("0.1.0"), workspace.releases_dir).directory
    _, head, body = (directory / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), MarkdownIt("commonmark").enable("table").parse(body)


def example(tokens: list[Token]) -> dict[str, Any]:
    (block,) = [token for token in tokens if token.type == "fence" and token.info == "json"]
    return json.loads(block.content)


def test_the_example_is_the_first_english_row_with_texts_on_both_sides(copy: Workspace) -> None:
    row = next(
        row
        for row in kept_samples(copy)
        if row.language == "en" and row.query_text and row.positive_text
    )
    _, tokens = card(copy)
    shown = example(tokens)
    assert shown["id"] == row.id
    assert (shown["instruction"], shown["query_text"]) == (row.instruction, row.query_text)
    assert shown["query_image"] == ("an image" if row.query_image else None)


def test_without_english_the_example_is_of_another_language(copy: Workspace) -> None:
    with Ledger(copy.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute("DELETE FROM outcome WHERE language = 'en'")
    shown = example(card(copy)[1])
    assert shown["language"] != "en" and shown["query_text"] and shown["positive_text"]


def test_hostile_text_in_the_example_is_no_markup(copy: Workspace) -> None:
    with Ledger(copy.ledger_path) as ledger, ledger.transaction():
        rows = ledger.db.execute("SELECT job_id, sample FROM outcome WHERE sample IS NOT NULL")
        for job_id, blob in rows.fetchall():
            row = orjson.loads(blob)
            row["instruction"] = HOSTILE
            row["positive_text"] = row["positive_text"] and "x" * 5_000
            ledger.db.execute(
                "UPDATE outcome SET sample = ? WHERE job_id = ?", (orjson.dumps(row), job_id)
            )
    _, tokens = card(copy)
    shown = example(tokens)
    assert shown["instruction"].startswith("end\\u000a```\\u000a````")
    assert "\u202e" not in shown["instruction"]
    assert len(shown["positive_text"]) == 301
    inside = [child for token in tokens for child in token.children or []]
    assert not [token for token in inside if token.type.startswith("html")]
    # The samples are the only HTML, and hold no element of a row's text.
    blocks = [token.content for token in tokens if token.type == "html_block"]
    assert len(blocks) == 3
    for block in blocks:
        elements = set(re.findall(r"</?([a-z!]+)", block))
        assert elements <= {"table", "tr", "th", "td", "br", "em", "p", "img"}
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in block and "\u202e" not in block
        sources = re.findall(r'<img src="([^"]*)"', block)
        assert all(re.fullmatch(r"samples/\d-\w+\.jpg", source) for source in sources)
    texts = " ".join(t.content for t in tokens if t.type not in ("fence", "html_block"))
    assert "alert(1)" not in texts
    # Whatever follows the example is still read as the card's own.
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert headings[-1] == "Citation"


def test_a_fence_is_longer_than_any_in_its_text() -> None:
    from builder.release.about.markdown import code_block

    text = "a\n`````\nb"
    (block,) = MarkdownIt().parse(code_block(text, "text"))
    assert block.content == text + "\n"


def test_every_prompt_is_named_with_its_cell(copy: Workspace) -> None:
    _, tokens = card(copy)
    rows = [token.content for token in tokens if token.type == "inline"]
    cells: dict[tuple[str, str], int] = {}
    for row in kept_samples(copy):
        cells[row.config, row.modality] = cells.get((row.config, row.modality), 0) + 1
    for (config, modality), num in cells.items():
        prompt = hashlib.sha256(modality.encode()).hexdigest()[:12]
        line = ["`test-teacher`", config, f"`{modality}`", f"`{prompt}`", str(num)]
        assert any(rows[start : start + 5] == line for start in range(len(rows))), line


def head_of(languages: list[str], model: str) -> dict[str, Any]:
    terms = [Terms("texts", model, "mit", 5)]
    text = card_head(
        title="t", version="0.1.0", languages=languages, terms=terms, num_samples=5, shards=[]
    )
    return yaml.safe_load(text)


@pytest.mark.parametrize(
    ("languages", "model", "creators", "multilinguality"),
    [
        (["en"], "gpt", ["machine-generated"], ["monolingual"]),
        (["fr"], "gpt", ["machine-generated"], ["multilingual"]),
        (["en", "fr"], "lexicon-teacher", ["found", "machine-generated"], ["multilingual"]),
    ],
)
def test_the_hub_hears_who_made_the_texts_and_in_how_many_languages(
    languages: list[str], model: str, creators: list[str], multilinguality: list[str]
) -> None:
    head = head_of(languages, model)
    assert (head["language_creators"], head["multilinguality"]) == (creators, multilinguality)
    assert head["annotations_creators"] == ["machine-generated"]
    assert head["source_datasets"] == ["original"]


@pytest.mark.parametrize(
    ("num_samples", "name"),
    [
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (560_000, "100K<n<1M"),
        (9_999_999, "1M<n<10M"),
        (10_000_000, "10M<n<100M"),
        (100_000_000, "100M<n<1B"),
        (1_000_000_000, "1B<n<10B"),
    ],
)
def test_sizes_are_named_as_the_hub_names_them(num_samples: int, name: str) -> None:
    assert size_category(num_samples) == name


def test_tables_of_the_card_are_read_as_tables(copy: Workspace) -> None:
    _, tokens = card(copy)
    assert sum(token.type == "table_open" for token in tokens) == 10
    assert not [
        token for token in tokens if token.type == "inline" and re.match(r"\|", token.content)
    ]
