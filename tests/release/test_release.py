"""A release: what goes in, what its bytes depend on, what it looks like from outside."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import yaml

from builder.config import load_config, save_config
from builder.images.store import ImageStoreError
from builder.ledger.ledger import Ledger
from builder.release import Release, ReleaseError, Version, open_inputs, release
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from schemas.review import ReviewEvent
from schemas.review_rows import review_event
from schemas.sample import Sample
from schemas.shards import parse_record, read_records
from tests.release.small_workspace import (
    kept_samples,
    review,
    save_reviews,
    small_workspace,
)


def make(workspace: Workspace, version: str) -> Release:
    with open_inputs(workspace, None) as inputs:
        return release(inputs, Version.parse(version), workspace.releases_dir)


def published(directory: Path) -> dict[str, Sample]:
    """Every published sample by id, read back through the contract."""
    found: dict[str, Sample] = {}
    for entry in read_manifest(directory).shards:
        if entry.config not in ("provenance", "reviews"):
            for record in read_records(directory / entry.path):
                sample, images = parse_record(record)
                assert set(images) == set(sample.images)
                found[sample.id] = sample
    return found


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = small_workspace(tmp_path_factory.mktemp("build") / "ws", num_rows=240)
    make(workspace, "0.1.0")
    return workspace


def test_every_kept_row_is_published_as_it_was(workspace: Workspace) -> None:
    rows = published(workspace.releases_dir / "0.1.0")
    assert rows == {sample.id: sample for sample in kept_samples(workspace)}


def test_rows_in_a_shard_stand_in_order_of_id(workspace: Workspace) -> None:
    directory = workspace.releases_dir / "0.1.0"
    for entry in read_manifest(directory).shards:
        ids = [row["id"] for row in read_records(directory / entry.path, ["id"])]
        assert ids == sorted(ids)
        assert len(ids) == entry.num_rows


def test_no_image_group_stands_in_both_splits(workspace: Workspace) -> None:
    directory = workspace.releases_dir / "0.1.0"
    groups: dict[str, set[str]] = {"train": set(), "validation": set()}
    for entry in read_manifest(directory).shards:
        if entry.config == "provenance":
            for row in read_records(directory / entry.path, ["images"]):
                groups[entry.split] |= {image["group"] for image in row["images"]}
    assert groups["train"] and groups["validation"]
    assert not groups["train"] & groups["validation"]


def test_same_inputs_give_the_same_bytes_in_another_process(
    workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(workspace.root, tmp_path / "ws")
    shutil.rmtree(tmp_path / "ws" / "releases")
    script = (
        "import sys; from pathlib import Path; from builder.workspace import Workspace;"
        "from builder.release import *\n"
        "ws = Workspace(Path(sys.argv[1]))\n"
        "with open_inputs(ws, None) as inputs:\n"
        "    release(inputs, Version.parse('0.1.0'), ws.releases_dir)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "ws")], check=True)
    again = files(tmp_path / "ws" / "releases" / "0.1.0")
    assert again == files(workspace.releases_dir / "0.1.0")


def test_releasing_again_finds_the_version_there(copy: Workspace) -> None:
    assert not make(copy, "0.1.0").is_new


def test_a_version_never_changes(copy: Workspace) -> None:
    before = files(copy.releases_dir / "0.1.0")
    save_reviews(copy, [review(kept_samples(copy)[0], 1, verdict="reject")])
    with pytest.raises(ReleaseError, match=r"0\.1\.0 exists with other content.*--bump"):
        make(copy, "0.1.0")
    assert files(copy.releases_dir / "0.1.0") == before
    assert sorted(path.name for path in copy.releases_dir.iterdir()) == ["0.1.0"]


def test_an_edit_changes_the_texts_and_keeps_the_id(copy: Workspace) -> None:
    sample = next(
        row
        for row in kept_samples(copy)
        if row.query_text and row.positive_text and row.language == "fr"
    )
    edits = {"query_text": "réparé", "negative_texts": ["autre chose"]}
    save_reviews(copy, [review(sample, 1, edits=edits)])
    made = make(copy, "0.2.0")
    row = published(made.directory)[sample.id]
    assert (row.query_text, row.negative_texts) == ("réparé", ("autre chose",))
    assert row.positive_text == sample.positive_text
    assert "0 rows added, 0 removed, 1 changed" in made.manifest.changelog[0]
    assert made.manifest.reviews.num_edited == 1


def test_an_edit_of_an_edited_row_is_found_under_its_new_content(copy: Workspace) -> None:
    sample = next(row for row in kept_samples(copy) if row.query_text and row.language == "en")
    corrected = sample.model_copy(update={"query_text": "first"})
    save_reviews(
        copy,
        [
            review(sample, 1, edits={"query_text": "first"}),
            review(corrected, 2, edits={"query_text": "second"}),
        ],
    )
    assert published(make(copy, "0.2.0").directory)[sample.id].query_text == "second"


def test_a_rejected_row_goes_out_and_is_counted(copy: Workspace) -> None:
    sample = kept_samples(copy)[5]
    save_reviews(copy, [review(sample, 1, verdict="reject", reasons=["wrong"])])
    made = make(copy, "0.2.0")
    assert sample.id not in published(made.directory)
    quality = json.loads((made.directory / "quality.json").read_text())
    assert quality["drops"] == {
        "generation": {"answer_leak": 2, "wrong_language": 1},
        "release": {"rejected_in_review": 1},
    }
    assert quality["languages"][sample.language]["dropped_in_release"] == 1


def test_an_event_on_other_content_changes_nothing(copy: Workspace) -> None:
    sample = next(row for row in kept_samples(copy) if row.query_text)
    other = sample.model_copy(update={"query_text": "never published"})
    save_reviews(copy, [review(other, 1, verdict="reject")])
    made = make(copy, "0.2.0")
    assert sample.id in published(made.directory)
    quality = json.loads((made.directory / "quality.json").read_text())
    assert quality["reviews"]["num_without_row"] == 1


def test_an_edit_that_breaks_the_row_keeps_it_out(copy: Workspace) -> None:
    sample = next(row for row in kept_samples(copy) if row.query_text is None)
    save_reviews(copy, [review(sample, 1, edits={"query_text": "this side has no text"})])
    made = make(copy, "0.2.0")
    assert sample.id not in published(made.directory)
    quality = json.loads((made.directory / "quality.json").read_text())
    assert quality["drops"]["release"] == {"edit_breaks_the_row": 1}


def test_too_few_reviews_reject_nothing(copy: Workspace) -> None:
    config = load_config(copy.config_path)
    config.release.min_reviews_to_reject = 2
    save_config(config, copy.config_path)
    sample = kept_samples(copy)[0]
    save_reviews(copy, [review(sample, 1, verdict="reject")])
    assert sample.id in published(make(copy, "0.2.0").directory)
    both = [review(sample, 1, verdict="reject"), review(sample, 2, verdict="reject")]
    both[1] = both[1].model_copy(update={"reviewer": "bo"})
    save_reviews(copy, both)
    assert sample.id not in published(make(copy, "0.3.0").directory)


def test_unchanged_shards_are_the_same_files(copy: Workspace) -> None:
    samples = (row for row in kept_samples(copy) if row.language == "en")
    sample = next(row for row in samples if row.config == "VQA")
    save_reviews(copy, [review(sample, 1, edits={"query_text": "corrected"})])
    made = make(copy, "0.2.0")
    old = copy.releases_dir / "0.1.0"
    changed = [
        entry.path
        for entry in made.manifest.shards
        if not (old / entry.path).exists()
        or not (old / entry.path).samefile(made.directory / entry.path)
    ]
    assert [path.split("/")[1] for path in changed] == ["VQA", "reviews"]


def test_a_damaged_shard_of_the_previous_release_is_not_taken_over(copy: Workspace) -> None:
    path = copy.releases_dir / "0.1.0" / read_manifest(copy.releases_dir / "0.1.0").shards[0].path
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-1] + b"?")
    made = make(copy, "0.2.0")
    assert (made.directory / made.manifest.shards[0].path).read_bytes() == whole


def test_a_row_whose_images_straddle_the_split_is_dropped(copy: Workspace) -> None:
    directory = copy.releases_dir / "0.1.0"
    by_split: dict[str, str] = {}
    for entry in read_manifest(directory).shards:
        if entry.config == "provenance":
            row = next(iter(read_records(directory / entry.path, ["images"])))
            by_split[entry.split] = row["images"][0]["group"]
    with Ledger(copy.ledger_path) as ledger, ledger.transaction():
        job_id, blob = ledger.db.execute(
            "SELECT job_id, provenance FROM outcome WHERE modality = 'IT->IT'"
        ).fetchone()
        row = orjson.loads(blob)
        row["images"][0]["group"] = by_split["train"]
        row["images"][1]["group"] = by_split["validation"]
        ledger.db.execute(
            "UPDATE outcome SET provenance = ? WHERE job_id = ?", (orjson.dumps(row), job_id)
        )
    quality = json.loads((make(copy, "0.2.0").directory / "quality.json").read_text())
    assert quality["drops"]["release"] == {"straddles_the_split": 1}


def test_surplus_is_trimmed_when_asked(copy: Workspace) -> None:
    config = load_config(copy.config_path)
    config.num_samples, config.languages = 60, "uniform"
    config.release.trim_surplus = True
    save_config(config, copy.config_path)
    made = make(copy, "0.2.0")
    assert 0 < made.manifest.num_samples <= 60
    quality = json.loads((made.directory / "quality.json").read_text())
    assert quality["drops"]["release"]["surplus"] == 240 - made.manifest.num_samples


def test_a_damaged_image_stops_the_release(copy: Workspace) -> None:
    blob = next((copy.images_dir / "blobs").rglob("*.png"))
    blob.write_bytes(b"not what it was")
    (copy.releases_dir / "0.1.0" / "manifest.json").unlink()
    shutil.rmtree(copy.releases_dir)
    with pytest.raises(ImageStoreError, match=rf"{blob.name}.*damaged. Delete it, then add"):
        make(copy, "0.2.0")
    assert list(copy.releases_dir.iterdir()) == []


def test_no_clock_path_or_host_goes_in(workspace: Workspace) -> None:
    for name, content in files(workspace.releases_dir / "0.1.0").items():
        assert str(workspace.root).encode() not in content, name


def test_endpoint_addresses_stay_out(copy: Workspace) -> None:
    config = load_config(copy.config_path)
    config.teacher.base_url = "http://secret-host.internal:9/v1"
    config.teacher.extra_body = {"header": "sk-planted-key"}
    save_config(config, copy.config_path)
    made = make(copy, "0.2.0")
    for name, content in files(made.directory).items():
        assert b"secret-host" not in content and b"sk-planted-key" not in content, name


def test_load_dataset_reads_the_directory_as_it_stands(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Image, List, load_dataset

    directory = workspace.releases_dir / "0.1.0"
    for config in ("Classification", "VQA", "Retrieval", "provenance"):
        loaded = load_dataset(str(directory), config, cache_dir=str(tmp_path))
        counts = read_manifest(directory).num_by_config[config]
        assert {split: rows.num_rows for split, rows in loaded.items()} == counts
    features = load_dataset(str(directory), "VQA", cache_dir=str(tmp_path))["train"].features
    assert isinstance(features["query_image"], Image)
    assert isinstance(features["negative_images"], List)


def test_the_cards_features_are_those_of_the_footer(workspace: Workspace) -> None:
    from datasets import Features

    from schemas.features import CONFIG_SCHEMAS, with_footer

    text = (workspace.releases_dir / "0.1.0" / "README.md").read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["version"] == "0.1.0"
    for info in head["dataset_info"]:
        features = Features._from_yaml_list(info["features"])
        schema = CONFIG_SCHEMAS[info["config_name"]]
        assert features == Features.from_arrow_schema(with_footer(schema))


def test_the_card_says_what_a_lexicon_wrote(copy: Workspace) -> None:
    with Ledger(copy.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute(
            "UPDATE outcome SET provenance = CAST(replace(CAST(provenance AS TEXT), "
            "'test-teacher', 'lexicon-teacher') AS BLOB) WHERE provenance IS NOT NULL"
        )
    card = (make(copy, "0.2.0").directory / "README.md").read_text()
    assert "were not written by a language model" in card
    assert "pictograms" in card


def test_words_from_outside_are_no_markup_in_the_card(copy: Workspace) -> None:
    with Ledger(copy.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute(
            "UPDATE outcome SET provenance = CAST(replace(CAST(provenance AS TEXT), "
            '\'"licence":"MIT"\', \'"licence":"<img src=x>|[a](b)"\') AS BLOB) '
            "WHERE provenance IS NOT NULL"
        )
    body = (make(copy, "0.2.0").directory / "README.md").read_text().split("---\n", 2)[2]
    assert "<img src=x" not in body and "[a](b)" not in body


def test_croissant_is_valid_and_reads_rows(workspace: Workspace) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlcroissant

        dataset = mlcroissant.Dataset(str(workspace.releases_dir / "0.1.0" / "croissant.json"))
        assert not dataset.metadata.ctx.issues.errors
        assert dataset.metadata.license == ["MIT", "LICENSE.md"]
        record = next(iter(dataset.records("VQA")))
        pictured = next(iter(dataset.records("Retrieval")))
    assert record["VQA/instruction"]
    assert len(pictured["Retrieval/negative_images"]) == 1


def test_bump_raises_the_latest_version() -> None:
    latest = Version.parse("0.9.3")
    assert [str(latest.bumped(part)) for part in ("patch", "minor", "major")] == [
        "0.9.4",
        "0.10.0",
        "1.0.0",
    ]


def test_reviews_come_back_from_parquet_as_they_were(copy: Workspace) -> None:
    sample = next(row for row in kept_samples(copy) if row.query_text)
    events = [
        review(sample, 1, verdict="accept", facets={"language": "accept"}, note="ça va"),
        review(sample, 2, edits={"query_text": "x", "negative_texts": ["y"]}, ms_active=12),
        review(sample, 3, undoes="event-000002").model_copy(update={"kind": "undo"}),
    ]
    save_reviews(copy, events)
    made = make(copy, "0.2.0")
    shard = next(entry for entry in made.manifest.shards if entry.config == "reviews")
    found: list[ReviewEvent] = [
        review_event(record) for record in read_records(made.directory / shard.path)
    ]
    assert found == events
