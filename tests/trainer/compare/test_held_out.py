from dataclasses import replace
from pathlib import Path

import pytest

from tests.trainer.releases import VALIDATION_CONCEPTS, shape_samples, write_release
from trainer.compare.held_out import SharedSplit, share_split
from trainer.data.corpus import Corpus, load_corpus
from trainer.data.items import Row
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.questions import make_questions, pairing


def _load(directory: Path) -> tuple[Corpus, Corpus]:
    return load_corpus(str(directory), "train"), load_corpus(str(directory), "validation")


def _share(*releases: Path, enough: int = 300) -> SharedSplit:
    loaded = [_load(directory) for directory in releases]
    return share_split([train for train, _ in loaded], [held for _, held in loaded], enough)


def _images(row: Row) -> set[str]:
    return {item.image for item in row.items if item.image is not None}


def test_a_single_version_keeps_its_own_split(small_release: Path) -> None:
    train, validation = _load(small_release)
    shared = share_split([train], [validation], 300)
    assert shared.train == [train]
    assert shared.held_out is validation and shared.notes == []


@pytest.mark.parametrize("enough", [2, 300])
def test_no_training_row_has_a_held_out_picture_or_group(
    small_release: Path, larger_release: Path, enough: int
) -> None:
    shared = _share(small_release, larger_release, enough=enough)
    held_images = set().union(*map(_images, shared.held_out.rows))
    held_groups = {shared.held_out.groups[image] for image in held_images}
    assert len(held_groups) >= 2
    for corpus in shared.train:
        assert len(corpus.rows) >= 40
        for row in corpus.rows:
            assert held_images.isdisjoint(_images(row))
            assert held_groups.isdisjoint(corpus.group_of(image) for image in _images(row))


def test_held_out_texts_that_a_version_trains_on_are_not_asked(
    small_release: Path, larger_release: Path
) -> None:
    shared = _share(small_release, larger_release)
    trained = {
        (row.language, pair[0])
        for corpus in shared.train
        for row in corpus.rows
        if (pair := pairing(row)) is not None
    }
    questions = make_questions(shared.held_out, 300, 0)
    assert questions.questions
    assert trained.isdisjoint((each.language, each.text) for each in questions.questions)
    assert any("held-out texts are not asked" in note for note in shared.notes)


def test_versions_with_little_held_out_in_common_hold_out_what_any_does(
    small_release: Path, larger_release: Path
) -> None:
    shared = _share(small_release, larger_release)
    assert len(set(shared.held_out.groups.values())) == 10, (
        "six of one, five of the other, one shared"
    )
    assert "hold out 1 concepts in common, too few" in shared.notes[0]
    assert shared.num_dropped == {"shapes@0.1.0": 4 * 40, "shapes@0.2.0": 5 * 20}
    assert sum("are left out" in note for note in shared.notes) == 2


def test_versions_with_the_same_split_lose_nothing(small_release: Path) -> None:
    train, validation = _load(small_release)
    half = replace(train, rows=train.rows[::2])
    shared = share_split([train, half], [validation, validation], 300)
    assert "held out by every version: 6 concepts" in shared.notes[0]
    assert [len(corpus.rows) for corpus in shared.train] == [360, 180]
    assert shared.num_dropped == {"shapes@0.1.0": 0}
    ids = {(row.cell, row.language, row.query, row.positive) for row in shared.held_out.rows}
    assert len(ids) == len(shared.held_out.rows), "equal rows once"


def test_a_picture_in_both_splits_of_two_versions_is_trained_on_by_neither(
    small_release: Path,
) -> None:
    train, validation = _load(small_release)
    leaking = replace(
        train,
        rows=[*train.rows, *validation.rows[:40]],
        groups={**train.groups, **validation.groups},
    )
    shared = share_split([train, leaking], [validation, validation], 300)
    assert [len(corpus.rows) for corpus in shared.train] == [360, 360]
    assert any("40 of 400 training rows" in note for note in shared.notes)


def test_another_picture_of_a_held_out_group_is_trained_on_by_no_version_of_the_dataset(
    small_release: Path, tmp_path: Path
) -> None:
    train, validation = _load(small_release)
    samples = [*shape_samples(VALIDATION_CONCEPTS, ("en",), side_px=40)]
    groups = {image: group for _, owners in samples for image, group in owners.items()}
    write_release(tmp_path, {"train": [row for row, _ in samples]}, name="shapes", groups=groups)
    redrawn = load_corpus(str(tmp_path), "train")
    assert set().union(*map(_images, redrawn.rows)).isdisjoint(validation.groups)
    bare = [replace(row, negatives=()) for row in validation.rows]
    concept = " ".join(VALIDATION_CONCEPTS[0])
    one = [row for row in bare if {*map(validation.group_of, _images(row))} == {concept}]
    shared = share_split([train, redrawn], [validation, replace(validation, rows=one)], 300)
    assert [len(corpus.rows) for corpus in shared.train] == [360, 0]


def test_pictures_of_other_datasets_are_the_same_by_content_alone(small_release: Path) -> None:
    train, validation = _load(small_release)
    manifest = train.version.manifest.model_copy(update={"name": "other"})
    version = replace(train.version, manifest=manifest)
    renamed = {image: f"other {group}" for image, group in train.groups.items()}
    other = replace(train, version=version, groups=renamed)
    held = replace(validation, version=version, rows=train.rows, groups=renamed)
    shared = share_split([train, replace(other, rows=validation.rows)], [validation, held], 300)
    assert [len(corpus.rows) for corpus in shared.train] == [0, 0]


def test_versions_that_train_on_everything_held_out_cannot_be_compared(
    small_release: Path,
) -> None:
    train, validation = _load(small_release)
    asking = [row for row in validation.rows if pairing(row) is not None]
    bare = [
        replace(row, query=replace(row.query, image=None), modality="T->I")
        if row.query.text
        else row
        for row in asking
    ]
    texts = [row for row in bare if row.modality == "T->I"]
    other_images = [item.image for row in train.rows for item in row.items if item.image]
    copied = [
        replace(row, positive=replace(row.positive, image=other_images[0]), negatives=())
        for row in texts
    ]
    with pytest.raises(NothingToMeasureError, match="unseen by all of these versions"):
        share_split(
            [train, replace(train, rows=copied)],
            [replace(validation, rows=texts)] * 2,
            300,
        )
