from collections import Counter

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.data.batching import BatchSampler, fill_batches, make_batch  # noqa: E402
from trainer.data.items import Item, Row  # noqa: E402
from trainer.data.known_positives import KnownPositives  # noqa: E402

LANGUAGES = ("en", "de", "fr", "ar", "ja")


def _rows(num_concepts: int = 30, num_styles: int = 2) -> list[Row]:
    return [
        Row(
            f"{concept}-{language}-{style}",
            language,
            "retrieval" if style else "classification",
            "T->I",
            Item(text=f"{language} {concept}"),
            Item(image=f"{concept}-{style}"),
            (Item(image=f"{(concept + 1) % num_concepts}-{style}"),) * (concept % 3),
        )
        for concept in range(num_concepts)
        for language in LANGUAGES
        for style in range(num_styles)
    ]


def _group(image: str) -> str:
    return image.split("-")[0]


def _sampler(rows: list[Row], batching: str, **changes: int) -> BatchSampler:
    settings = {"batch_size": 16, "texts_per_concept": 4, "seed": 3} | changes
    return BatchSampler(rows, _group, batching=batching, **settings)


def _epoch(sampler: BatchSampler, rows: list[Row]) -> list[list[Row]]:
    return [[rows[n] for n in sampler.draw()] for _ in range(sampler.batches_per_epoch)]


def _groups(batch: list[Row]) -> Counter[str]:
    return Counter(_group(row.positive.image) for row in batch)


def test_an_epoch_has_no_row_twice_and_nearly_all_of_them() -> None:
    rows = _rows()
    for batching in ("cell", "mixed", "concept"):
        drawn = [row.id for batch in _epoch(_sampler(rows, batching), rows) for row in batch]
        assert len(drawn) == len(set(drawn))
        assert len(drawn) >= len(rows) - 2 * 16


def test_batches_by_cell_are_of_one_cell_and_mixed_ones_are_not() -> None:
    rows = _rows()
    by_cell = _epoch(_sampler(rows, "cell"), rows)
    assert all(len({row.cell for row in batch}) == 1 for batch in by_cell)
    assert {batch[0].cell for batch in by_cell} == {"retrieval T->I", "classification T->I"}
    mixed = _epoch(_sampler(rows, "mixed"), rows)
    assert any(len({row.cell for row in batch}) == 2 for batch in mixed)


def test_no_batch_holds_a_group_twice_where_that_can_be_avoided() -> None:
    rows = _rows()
    batches = _epoch(_sampler(rows, "mixed"), rows)
    unique = [batch for batch in batches if max(_groups(batch).values()) == 1]
    assert len(unique) >= len(batches) - 3


def test_batches_by_concept_have_each_concept_in_different_languages() -> None:
    rows = _rows(num_styles=1)
    batches = _epoch(_sampler(rows, "concept"), rows)
    whole = 0
    for batch in batches:
        for concept, count in _groups(batch).items():
            languages = {row.language for row in batch if _group(row.positive.image) == concept}
            assert len(languages) == count <= 4
            whole += count == 4
    assert whole >= 25, "most concepts come with four languages"


def test_duplicates_come_when_there_are_too_few_groups() -> None:
    assert [len(batch) for batch in fill_batches(range(6), lambda _: (("group", 0),), 4)] == [4, 2]


def test_a_sampler_goes_on_where_another_stood() -> None:
    rows = _rows()
    for batching in ("cell", "mixed", "concept"):
        first = _sampler(rows, batching)
        for _ in range(first.batches_per_epoch + 3):
            first.draw()
        second = _sampler(rows, batching)
        second.load_state_dict(first.state_dict())
        assert [first.draw() for _ in range(40)] == [second.draw() for _ in range(40)]


def test_the_same_seed_draws_the_same_batches() -> None:
    rows = _rows()
    drawn = [[_sampler(rows, "cell", seed=seed).draw() for _ in range(5)] for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_batch_has_each_item_once_positives_first_and_ragged_hard_negatives() -> None:
    rows = [
        Row("0", "en", "retrieval", "T->I", Item(text="apple"), Item(image="apple-0"),
            (Item(image="pear-0"), Item(image="apple-1"), Item(image="plum-0"))),
        Row("1", "fr", "retrieval", "T->I", Item(text="poire"), Item(image="pear-0"), ()),
    ]  # fmt: skip
    known = KnownPositives(rows, _group)
    batch = make_batch(rows, known, hard_negatives=True, attract_known=False)
    names = [item.image for item in batch.candidates]
    assert names == ["apple-0", "pear-0", "apple-1", "plum-0"]
    assert batch.positive_QN.tolist() == [[True, False, False, False], [False, True, False, False]]
    assert batch.masked_QN.tolist() == [[True, False, True, False], [False, True, False, False]]
    attracted = make_batch(rows, known, hard_negatives=True, attract_known=True)
    assert attracted.positive_QN.tolist() == batch.masked_QN.tolist()
    bare = make_batch(rows, known, hard_negatives=False, attract_known=False)
    assert [item.image for item in bare.candidates] == ["apple-0", "pear-0"]
