"""Unreadable pictures are named by row and file; up to a share their rows are skipped."""

from pathlib import Path

import pytest

from tests.trainer.releases import Record, bare_record, draw, stored, write_release
from trainer.data.corpus import Corpus, load_corpus
from trainer.data.picture_check import UnreadablePicturesError, check_pictures

RED, BLUE = (stored(draw((colour, "circle"), "plain")) for colour in ("red", "blue"))
BROKEN = stored(b"not a picture")
CUT = stored(draw(("green", "bar"), "plain")[:-40])
RETRIEVAL = "data/Retrieval/train-00000.parquet"


def row(number: int, positive: Record = RED, negative: Record = BLUE) -> Record:
    return bare_record(
        number,
        "T->I",
        query_text=f"{number}",
        positive_image=positive,
        negatives=[(None, negative)],
    )


def corpus_of(tmp_path: Path, rows: list[Record]) -> Corpus:
    return load_corpus(str(write_release(tmp_path, {"train": rows})), "train")


def test_sound_pictures_change_nothing(small_release: Path) -> None:
    corpus = load_corpus(str(small_release), "train")
    assert check_pictures(corpus) is corpus


def test_rows_within_the_share_are_skipped_and_named(tmp_path: Path) -> None:
    corpus = corpus_of(
        tmp_path, [row(0, positive=BROKEN), row(1, positive=CUT), *map(row, range(2, 20))]
    )
    checked = corpus.without_unreadable(max_share=0.1)
    assert [row.id for row in checked.rows] == [row.id for row in corpus.rows[2:]]
    assert len(checked.skipped) == 2
    for skipped, source in zip(checked.skipped, corpus.rows, strict=False):
        assert skipped.what.startswith("rows with an unreadable picture: ")
        assert skipped.example == f'{RETRIEVAL}, row id "{source.id}"'


def test_more_rows_than_the_share_stop_the_run(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, [row(0, positive=BROKEN), *map(row, range(1, 20))])
    with pytest.raises(UnreadablePicturesError) as refused:
        check_pictures(corpus)
    said = str(refused.value)
    assert "1 of 20 rows have a picture that cannot be read, more than 0.100%" in said
    assert f'{RETRIEVAL}, row id "{corpus.rows[0].id}": no picture' in said
    assert "--max-unreadable-share" in said and "\n" not in said


def test_a_hard_negative_only_loses_itself(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, [row(0, negative=BROKEN), row(1)])
    checked = check_pictures(corpus, max_share=0)
    assert [len(row.negatives) for row in checked.rows] == [0, 1]
    (skipped,) = checked.skipped
    assert skipped.count == 1 and skipped.what.startswith("hard negatives with an unreadable")


def test_a_query_counts_as_a_positive_does(tmp_path: Path) -> None:
    query = bare_record(0, "I->T", query_image=CUT, positive_text="red", negatives=[("blue", None)])
    checked = check_pictures(corpus_of(tmp_path, [query, row(1)]), max_share=0.5)
    assert len(checked.rows) == 1
