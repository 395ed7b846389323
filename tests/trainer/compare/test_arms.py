from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import ValidationError

from trainer.compare.arms import Plan, draw_rows, plan_arms
from trainer.compare.config import CompareConfig, parse_sizes
from trainer.config import LossConfig, TrainConfig
from trainer.data.corpus import Corpus
from trainer.data.items import Row
from trainer.errors import NoRowsError, SettingError


def _config(**fields: object) -> CompareConfig:
    return CompareConfig.model_validate(
        {"train": TrainConfig(dataset="x"), "versions": ("x",), **fields}
    )


def _other(corpus: Corpus, num_rows: int, number: str = "0.2.0") -> Corpus:
    """Another version with the first rows of a corpus."""
    manifest = corpus.version.manifest.model_copy(update={"version": number})
    version = replace(corpus.version, manifest=manifest)
    return replace(corpus, version=version, rows=corpus.rows[:num_rows])


def _sizes(plan: Plan) -> dict[str, int]:
    return {arm.name: arm.num_rows for arm in plan.arms}


def _pairs(plan: Plan) -> list[tuple[str, str]]:
    return [(contrast.first, contrast.second) for contrast in plan.contrasts]


def test_one_version_alone_is_english_against_all_languages(train_corpus: Corpus) -> None:
    plan = plan_arms(_config(), [train_corpus])
    assert _sizes(plan) == {"untrained": 0, "english_only": 90, "multilingual": 360}
    assert [*_sizes(plan)] == ["untrained", "english_only", "multilingual"]
    assert _pairs(plan) == [("multilingual", "english_only")]
    english = plan.arms[1].corpus
    assert english is not None and {row.language for row in english.rows} == {"en"}


def test_several_versions_are_set_against_the_first(train_corpus: Corpus) -> None:
    others = [_other(train_corpus, 300), _other(train_corpus, 200, "0.3.0")]
    plan = plan_arms(_config(versions=("a", "b", "c")), [train_corpus, *others])
    assert _sizes(plan) == {"untrained": 0, "0.1.0": 360, "0.2.0": 300, "0.3.0": 200}
    assert _pairs(plan) == [("0.2.0", "0.1.0"), ("0.3.0", "0.1.0")]


def test_versions_of_equal_number_have_names_of_their_own(train_corpus: Corpus) -> None:
    manifest = train_corpus.version.manifest.model_copy(update={"name": "other"})
    other = replace(train_corpus, version=replace(train_corpus.version, manifest=manifest))
    config = _config(versions=("a", "b"))
    assert [*_sizes(plan_arms(config, [train_corpus, other]))][1:] == [
        "shapes@0.1.0",
        "other@0.1.0",
    ]
    names = [*_sizes(plan_arms(config, [train_corpus, train_corpus]))][1:]
    assert names == ["shapes@0.1.0 (1)", "shapes@0.1.0 (2)"]


def _is_german(row: Row) -> bool:
    return row.language == "de" and row.task_type != "vqa"


def test_languages_of_several_versions_limit_them_all(train_corpus: Corpus) -> None:
    config = _config(versions=("a", "b"), languages=("de",), without=("vqa",))
    plan = plan_arms(config, [train_corpus, _other(train_corpus, 160)])
    num_rows = sum(_is_german(row) for row in train_corpus.rows[:160])
    assert _sizes(plan) == {"untrained": 0, "0.1.0": 81, "0.2.0": num_rows}
    for arm in plan.arms[1:]:
        assert arm.corpus is not None
        assert {row.language for row in arm.corpus.rows} == {"de"}
        assert "vqa" not in {row.task_type for row in arm.corpus.rows}


def test_each_part_left_out_is_an_arm_that_the_whole_is_compared_with(
    train_corpus: Corpus,
) -> None:
    config = _config(without=("hard_negatives", "vqa", "T->I", "retrieval I->I"))
    plan = plan_arms(config, [train_corpus])
    assert _sizes(plan) == {
        "untrained": 0,
        "all rows": 360,
        "without hard negatives": 360,
        "without vqa": 324,
        "without T->I": 324,
        "without retrieval I->I": 324,
    }
    assert _pairs(plan) == [("all rows", name) for name in [*_sizes(plan)][2:]]
    hard = {arm.name: arm.train_config(config.train, 0).loss.hard_negatives for arm in plan.arms}
    assert [name for name, used in hard.items() if used is False] == ["without hard negatives"]


def test_an_arm_changes_seed_and_rows_of_the_settings_alone(train_corpus: Corpus) -> None:
    train = TrainConfig(
        dataset="x",
        languages=("en", "de"),
        max_rows=50,
        num_steps=7,
        loss=LossConfig(temperature=0.3),
    )
    arm = plan_arms(_config(train=train), [train_corpus]).arms[-1]
    assert arm.num_rows == 180, "train's own languages limit every arm"
    update = {"seed": 4, "languages": None, "max_rows": None}
    assert arm.train_config(train, 4) == train.model_copy(update=update)


def test_equal_pairs_draws_as_many_rows_as_the_smallest_has(train_corpus: Corpus) -> None:
    other = _other(train_corpus, 200)
    config = _config(versions=("a", "b"), equal="pairs")
    plan = plan_arms(config, [train_corpus, other])
    assert _sizes(plan) == {"untrained": 0, "0.1.0": 200, "0.2.0": 200}
    drawn = {}
    for seed in (0, 1):
        corpus = plan.arms[1].corpus_for(seed)
        assert corpus is not None and len(corpus.rows) == 200
        drawn[seed] = {row.id for row in corpus.rows}
    assert drawn[0] != drawn[1]
    smallest = plan.arms[2].corpus_for(0)
    assert smallest is not None and smallest.rows == other.rows


def test_sizes_make_a_curve_of_every_arm(train_corpus: Corpus) -> None:
    config = _config(versions=("a", "b"), sizes=(300, 100))
    plan = plan_arms(config, [train_corpus, _other(train_corpus, 200)])
    assert _sizes(plan) == {
        "untrained": 0,
        "0.1.0, 100 rows": 100,
        "0.1.0, 300 rows": 300,
        "0.2.0, 100 rows": 100,
    }
    assert _pairs(plan) == [("0.2.0, 100 rows", "0.1.0, 100 rows")]
    assert [arm.family for arm in plan.arms] == ["", "0.1.0", "0.1.0", "0.2.0"]


def test_sizes_of_one_version_compare_each_with_the_one_below(train_corpus: Corpus) -> None:
    plan = plan_arms(_config(sizes=(50, 100, 200)), [train_corpus])
    names = [*_sizes(plan)][1:]
    assert names == [f"multilingual, {size} rows" for size in (50, 100, 200)]
    assert _pairs(plan) == [(names[1], names[0]), (names[2], names[1])]
    ids = [_ids(arm.corpus_for(0)) for arm in plan.arms[1:]]
    assert ids[0] < ids[1] < ids[2], "smaller draws are part of larger ones"


def _ids(corpus: Corpus | None) -> set[str]:
    assert corpus is not None
    return {row.id for row in corpus.rows}


def test_fewer_rows_than_the_smallest_size_are_named(train_corpus: Corpus) -> None:
    with pytest.raises(SettingError) as caught:
        plan_arms(_config(sizes=(1_000,)), [train_corpus])
    message = str(caught.value)
    assert message.startswith("--sizes 1000: shapes@0.1.0, multilingual: it has only 360 ")


def test_versions_draw_the_same_of_the_rows_they_share(train_corpus: Corpus) -> None:
    rows = train_corpus.rows
    whole, part = draw_rows(rows, 120, 0), draw_rows(rows[:200], 60, 0)
    assert [row for row in rows if row in whole] == whole, "in published order"
    kept = {row.id for row in whole}
    first = [row.id for row in rows[:200] if row.id in kept]
    both = {row.id for row in part}.intersection(first)
    assert len(both) == min(len(first), 60)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"languages": ("sw",)}, "sw"),
        ({"without": ("classification", "vqa", "retrieval")}, "all but"),
    ],
)
def test_an_arm_without_rows_says_what_there_is(
    train_corpus: Corpus, fields: dict[str, Sequence[str]], named: str
) -> None:
    config = _config(versions=("a", "b"), **fields)
    with pytest.raises(NoRowsError, match=named) as caught:
        plan_arms(config, [train_corpus, _other(train_corpus, 200)])
    assert "retrieval I->I" in str(caught.value) and "de" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": (0, 1)}, "at least 3 seeds"),
        ({"seeds": (0, 1, 1)}, "seed 1 appears twice"),
        ({"versions": ("a", "a")}, "a is named twice"),
        ({"versions": ()}, "at least 1 item"),
        ({"without": ("ocr",)}, "ocr: cannot be left out"),
        ({"without": ("vqa T->I",)}, "vqa T->I: cannot be left out"),
        ({"languages": ("xx",)}, "xx: not among the 93 languages"),
        ({"languages": ()}, "not among the 93"),
        ({"sizes": (1,)}, "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _config(**fields)


def test_sizes_are_read_as_people_write_them() -> None:
    assert parse_sizes("500, 1k,2.5K,1m") == (500, 1_000, 2_500, 1_000_000)
    for text in ("many", "1.5", "0", "-1k", "nan", "inf", "1e30", "k"):
        with pytest.raises(ValueError, match="not a number of rows"):
            parse_sizes(text)
