"""What reviewers wrote goes through the row checks, too: bad edits stay out, and say why."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.checks_config import ChecksConfig
from builder.ledger.json_rows import read_json_rows
from builder.release import Version, open_inputs, release
from builder.release.rows import _HASH_SCHEMA, _with_rows
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from schemas.sample import Draft, Sample
from schemas.shards import parse_record, read_records
from schemas.text_rules import check_edit
from schemas.text_rules.edited import check_edited
from schemas.vocabulary import CELL_BY_NAME
from tests.release.small_workspace import (
    kept_samples,
    made_row,
    review,
    save_reviews,
)

ENGLISH = "The old fisherman mends his nets beside the harbour wall every morning."


def row_of(workspace: Workspace, config: str, language: str) -> Sample:
    return next(
        row
        for row in kept_samples(workspace)
        if (row.config, row.language) == (config, language) and row.query_text and row.positive_text
    )


def release_with(workspace: Workspace, sample: Sample, **edits: Any) -> tuple[Path, dict[str, Any]]:
    """The release after one edit, and what its quality report says of the review."""
    save_reviews(workspace, [review(sample, 1, edits=edits, verdict="accept")])
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, Version.parse("0.1.0"), workspace.releases_dir)
    quality = json.loads((made.directory / "quality.json").read_text())
    return made.directory, quality


def published(directory: Path, sample_id: str) -> tuple[Sample | None, dict[str, Any] | None]:
    """A row and its provenance, as far as they are there."""
    sample, provenance = None, None
    for entry in read_manifest(directory).shards:
        if entry.config == "reviews":
            continue
        for record in read_records(directory / entry.path):
            if record["id"] == sample_id and entry.config == "provenance":
                provenance = record
            elif record["id"] == sample_id:
                sample = parse_record(record)[0]
    return sample, provenance


@pytest.mark.parametrize(
    ("language", "edits", "reason"),
    [
        ("en", {"query_text": "Is it {positive} here?"}, "answer_leak"),
        ("en", {"positive_text": " "}, "empty_text"),
        ("en", {"positive_text": "I'm sorry, but I cannot help with that."}, "refusal"),
        ("en", {"query_text": "what is \u202ethis\u202c thing"}, "malformed_text"),
        ("en", {"query_text": "what is\x00 this thing"}, "malformed_text"),
        ("ar", {"query_text": ENGLISH}, "wrong_script"),
        (
            "en",
            {"instruction": "<|image_1|>\nTrouve l'image qui correspond à la question posée."},
            "image_placeholder",
        ),
        (
            "en",
            {"instruction": "Trouve la photographie qui correspond le mieux à la question posée."},
            "instruction_not_english",
        ),
        ("en", {"negative_texts": ["{positive}!"]}, "negative_equals_positive"),
    ],
)
def test_an_edit_that_a_check_objects_to_drops_the_row_and_says_why(
    copy: Workspace, language: str, edits: dict[str, Any], reason: str
) -> None:
    sample = row_of(copy, "VQA", language)
    assert sample.positive_text
    filled = json.loads(json.dumps(edits).replace("{positive}", sample.positive_text))
    directory, quality = release_with(copy, sample, **filled)
    assert published(directory, sample.id) == (None, None)
    assert quality["drops"]["release"] == {f"edit_{reason}": 1}
    assert quality["reviews"]["edits_refused"] == {sample.id: f"edit_{reason}"}
    counts = {name: quality["reviews"][name] for name in ("num_accepted", "num_edited")}
    assert counts == {"num_accepted": 0, "num_edited": 0}
    said = read_manifest(directory).changelog
    assert any("Edited rows" in line and f"edit_{reason} 1" in line for line in said)


def test_a_vote_for_another_language_flags_an_edit_and_lets_it_pass(copy: Workspace) -> None:
    sample = row_of(copy, "VQA", "fr")
    directory, quality = release_with(copy, sample, query_text=ENGLISH)
    row, provenance = published(directory, sample.id)
    assert row is not None and provenance is not None
    assert row.query_text == ENGLISH
    assert quality["reviews"]["num_edits_flagged"] == 1
    assert quality["reviews"]["edits_flagged"] == [sample.id]
    assert quality["drops"]["release"] == {}


def test_a_disputed_language_hides_no_other_mistake(copy: Workspace) -> None:
    sample = row_of(copy, "VQA", "fr")
    edits = {"query_text": ENGLISH, "positive_text": "кошка сидит на окне и смотрит на птиц"}
    _, quality = release_with(copy, sample, **edits)
    assert quality["drops"]["release"] == {"edit_wrong_script": 1}


def test_one_edit_changes_one_shard_and_leaves_provenance_as_the_row_was_generated(
    copy: Workspace,
) -> None:
    with open_inputs(copy, None) as inputs:
        before = release(inputs, Version.parse("0.1.0"), copy.releases_dir).manifest
    sample = row_of(copy, "Retrieval", "fr")
    save_reviews(copy, [review(sample, 1, edits={"query_text": "Un pêcheur répare ses filets."})])
    with open_inputs(copy, None) as inputs:
        after = release(inputs, Version.parse("0.2.0"), copy.releases_dir).manifest
    known = {entry.path: entry.sha256 for entry in before.shards}
    changed = [entry.config for entry in after.shards if known.get(entry.path) != entry.sha256]
    assert sorted(changed) == ["Retrieval", "reviews"]
    row, provenance = published(copy.releases_dir / "0.2.0", sample.id)
    assert row is not None and provenance is not None
    assert provenance["revision"]["query_text"] == sample.query_text != row.query_text


def test_every_hard_negative_of_an_edited_row_is_checked() -> None:
    sample, _ = made_row(CELL_BY_NAME["vqa_it2t"], "en", ["0" * 64], "a", 0)
    assert sample.positive_text
    texts = (sample.negative_texts[0], sample.positive_text.upper())
    two = sample.model_copy(update={"negative_texts": texts, "negative_images": (None, None)})
    assert check_edited(two, ChecksConfig()).reason == "edit_negative_equals_positive"


def test_the_teachers_scores_say_nothing_of_a_reviewers_text() -> None:
    _, provenance = made_row(CELL_BY_NAME["vqa_it2t"], "en", ["0" * 64], "a", 0)
    draft = Draft.model_validate(provenance.revision.model_dump())
    strict = ChecksConfig(min_scores={"clarity": 4})
    assert check_edit(CELL_BY_NAME["vqa_it2t"], "en", draft, strict).reason is None


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_rows_read_anew_stand_where_they_stood(data: st.DataObject) -> None:
    rows = [
        made_row(CELL_BY_NAME["retrieval_it2it"], "en", ["0" * 64, "1" * 64], str(number), 0)[0]
        for number in range(data.draw(st.integers(1, 9)))
    ]
    raw = [row.model_dump_json().encode() for row in rows]
    table = read_json_rows(raw, _HASH_SCHEMA)
    chosen = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    for index in chosen:
        raw[index] = raw[index].replace("· query".encode(), "· corrected".encode())
    assert _with_rows(table, chosen, raw, _HASH_SCHEMA).equals(read_json_rows(raw, _HASH_SCHEMA))
