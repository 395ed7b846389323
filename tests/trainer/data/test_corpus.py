"""Rows come from the files that the manifest lists, whole and checked, in every cell."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import PolysceneError
from schemas.sample import MAX_TEXT_CHARS
from schemas.shards import read_records, write_shard
from schemas.versions import VersionError
from schemas.vocabulary import CELLS
from tests.trainer.releases import (
    Record,
    bare_record,
    draw,
    stored,
    write_manifest,
    write_release,
    write_shapes,
)
from trainer.data.corpus import load_corpus
from trainer.data.image_store import ImageStore
from trainer.data.items import Item
from trainer.data.shard_reader import ShardError
from trainer.errors import CorpusError, NoHeldOutError

RED, BLUE = (stored(draw((colour, "circle"), "plain")) for colour in ("red", "blue"))
PROVENANCE = "data/provenance/train-00000.parquet"
RETRIEVAL = "data/Retrieval/train-00000.parquet"


def text_to_image(number: int, text: str = "a red circle", **fields: Any) -> Record:
    record = bare_record(
        number, "T->I", query_text=text, positive_image=RED, negatives=[(None, BLUE)]
    )
    return record | fields


def sha256_of(image: Record) -> str:
    return image["path"].split(".")[0]


def rewrite(directory: Path, path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Changes a shard and has the manifest say so, as whoever released it would."""
    table = change(pq.read_table(directory / path))
    pq.write_table(table, directory / path)
    shards = [
        (file.parent.name, file.name.split("-")[0], file.relative_to(directory).as_posix())
        for file in sorted(directory.rglob("*.parquet"))
    ]
    write_manifest(
        directory,
        [(*shard, pq.read_metadata(directory / shard[2]).num_rows) for shard in shards],
    )


def test_all_ten_cells_are_rows_of_items(small_release: Path) -> None:
    corpus = load_corpus(str(small_release), "train")
    cells = Counter((row.task_type, row.modality) for row in corpus.rows)
    assert cells == {(cell.task_type, cell.modality): 36 for cell in CELLS}
    assert {row.language for row in corpus.rows} == {"en", "de", "ar", "ja"}
    for row in corpus.rows:
        query, document = row.modality.split("->")
        assert row.query.modality == query and row.query.instruction
        assert {item.modality for item in (row.positive, *row.negatives)} == {document}
        assert all(item.instruction is None for item in (row.positive, *row.negatives))
    assert {len(row.negatives) for row in corpus.rows} == {1, 2}
    assert corpus.skipped == ()
    assert corpus.version.label == "shapes@0.1.0"


def test_rows_hold_what_parquet_holds(small_release: Path) -> None:
    corpus = load_corpus(str(small_release), "validation")
    by_id = {row.id: row for row in corpus.rows}
    shards = sorted(small_release.glob("data/[CRV]*/validation-*.parquet"))
    records = [record for path in shards for record in read_records(path)]
    assert len(records) == len(by_id) == 240

    def item(text: str | None, image: Record | None, instruction: str | None = None) -> Item:
        if image is not None:
            assert corpus.images[sha256_of(image)] == image["bytes"]
        return Item(instruction, text, None if image is None else sha256_of(image))

    for record in records:
        row = by_id[record["id"]]
        sides = [
            item(record["query_text"], record["query_image"], record["instruction"]),
            item(record["positive_text"], record["positive_image"]),
            *map(item, record["negative_texts"], record["negative_images"]),
        ]
        assert list(row.items) == sides


def test_groups_are_those_of_provenance(small_release: Path) -> None:
    corpus = load_corpus(str(small_release), "train")
    assert set(corpus.groups) == set(corpus.images)
    assert len(corpus.images) == 18 and len(set(corpus.groups.values())) == 9
    assert corpus.group_of(sha256_of(RED)) == "red circle"
    assert corpus.group_of("unheard of") == "unheard of"


def test_only_question_rows_load(tmp_path: Path) -> None:
    """Case use/18."""
    row = bare_record(
        1,
        "IT->T",
        task_type="vqa",
        query_text="Which colour?",
        query_image=RED,
        positive_text="red",
        negatives=[("blue", None), ("black", None)],
    )
    corpus = load_corpus(str(write_release(tmp_path, {"train": [row]})), "train")
    assert [row.cell for row in corpus.rows] == ["vqa IT->T"]
    assert [item.text for item in corpus.rows[0].negatives] == ["blue", "black"]


def test_a_version_without_held_out_rows_asks_for_more_images(tmp_path: Path) -> None:
    """Case use/05: it is a published version, and says so."""
    write_release(tmp_path, {"train": [text_to_image(1), text_to_image(2)]})
    assert len(load_corpus(str(tmp_path), "train").rows) == 2
    said = r"0\.1\.0 has no held-out rows \(2 in train\).*Add more images"
    with pytest.raises(NoHeldOutError, match=said):
        load_corpus(str(tmp_path), "validation")


def test_no_dataset_is_told_apart_from_no_held_out_rows(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match=r"no manifest\.json"):
        load_corpus(str(tmp_path), "validation")
    write_manifest(tmp_path, [])
    with pytest.raises(CorpusError, match=r"no rows of Classification, VQA, Retrieval") as said:
        load_corpus(str(tmp_path), "validation")
    assert not isinstance(said.value, NoHeldOutError)
    assert "(its configs: none). Name a dataset that polyscene published." in str(said.value)


def test_a_directory_that_was_replaced_gives_its_new_rows(tmp_path: Path) -> None:
    """Case use/06 (1): no cache answers for what lay there before."""
    for version, word in (("0.1.0", "old"), ("0.2.0", "new")):
        shutil.rmtree(tmp_path / "dataset", ignore_errors=True)
        write_release(tmp_path / "dataset", {"train": [text_to_image(1, word)]}, version=version)
        corpus = load_corpus(str(tmp_path / "dataset"), "train")
        assert (corpus.version.number, corpus.rows[0].query.text) == (version, word)


def test_directories_of_one_name_and_size_give_their_own_rows(tmp_path: Path) -> None:
    """Case use/06 (2): two letters are swapped, which no size betrays."""
    sizes = set()
    for parent, text in (("a", "letters in a box"), ("b", "eltters in a box")):
        directory = write_release(tmp_path / parent / "same", {"train": [text_to_image(1, text)]})
        sizes.add((directory / RETRIEVAL).stat().st_size)
        assert load_corpus(str(directory), "train").rows[0].query.text == text
    assert len(sizes) == 1


@pytest.mark.parametrize("number", ["0.2.0", "v0.2.0", "9.9.9", "main"])
def test_another_version_is_refused(small_release: Path, number: str) -> None:
    """Case use/02."""
    with pytest.raises(VersionError):
        load_corpus(f"{small_release}@{number}", "train")


@pytest.mark.parametrize("column", ["query_image", "instruction", "negative_texts", "id"])
def test_a_column_that_one_shard_lacks_is_named(tmp_path: Path, column: str) -> None:
    """The card declares it, and the other shards have it; it must not become nulls."""
    write_shapes(tmp_path)
    rewrite(tmp_path, RETRIEVAL, lambda table: table.drop_columns([column]))
    with pytest.raises(ShardError, match=rf"{RETRIEVAL}: has no column {column}\. Fetch"):
        load_corpus(str(tmp_path), "train")
    assert load_corpus(str(tmp_path), "validation").rows


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    write_shapes(tmp_path)

    def joined(table: pa.Table) -> pa.Table:
        place = table.column_names.index("negative_texts")
        return table.set_column(place, "negative_texts", pa.array(["['red']"] * len(table)))

    rewrite(tmp_path, RETRIEVAL, joined)
    with pytest.raises(ShardError, match=r"column negative_texts is of type string, not list"):
        load_corpus(str(tmp_path), "train")


def _with_image_fields(table: pa.Table, names: list[str]) -> pa.Table:
    """The provenance with these fields of its images alone; null where it has none of that name."""
    images = [
        [{name: image.get(name) for name in names} for image in row]
        for row in table["images"].to_pylist()
    ]
    kind = pa.list_(pa.struct([(name, pa.string()) for name in names]))
    place = table.column_names.index("images")
    return table.set_column(place, "images", pa.array(images, kind))


@pytest.mark.parametrize(
    "names",
    [
        ["role", "sha256", "group", "source", "licence"],
        ["group", "sha256"],
        ["sha256", "group", "x"],
    ],
    ids=["older", "turned", "newer"],
)
def test_releases_of_other_ages_have_other_fields_of_images(
    tmp_path: Path, names: list[str]
) -> None:
    write_shapes(tmp_path)
    expected = load_corpus(str(tmp_path), "train").groups
    rewrite(tmp_path, PROVENANCE, lambda table: _with_image_fields(table, names))
    assert expected and load_corpus(str(tmp_path), "train").groups == expected


def test_provenance_whose_images_have_no_group_is_named(tmp_path: Path) -> None:
    write_shapes(tmp_path)
    rewrite(tmp_path, PROVENANCE, lambda table: _with_image_fields(table, ["role", "sha256"]))
    with pytest.raises(ShardError, match=rf"{PROVENANCE}: column images is of type"):
        load_corpus(str(tmp_path), "train")


def test_types_of_other_writers_are_read(tmp_path: Path) -> None:
    write_shapes(tmp_path)
    expected = load_corpus(str(tmp_path), "train").rows

    def widened(table: pa.Table) -> pa.Table:
        image = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
        kinds = {
            "language": pa.dictionary(pa.int32(), pa.string()),
            "query_text": pa.large_string(),
            "query_image": image,
            "negative_texts": pa.large_list(pa.large_string()),
            "negative_images": pa.large_list(image),
        }
        return table.cast(
            pa.schema(
                [field.with_type(kinds.get(field.name, field.type)) for field in table.schema]
            )
        )

    rewrite(tmp_path, RETRIEVAL, widened)
    assert load_corpus(str(tmp_path), "train").rows == expected


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(data: bytes) -> bytes:
    return b""


def garbled(data: bytes) -> bytes:
    """Pages overwritten, the footer as it was."""
    footer = len(data) - int.from_bytes(data[-8:-4], "little") - 8
    return data[:4] + b"\xff" * (footer - 4) + data[footer:]


@pytest.mark.parametrize("damage", [truncated, emptied, garbled])
@pytest.mark.parametrize("config", ["Retrieval", "provenance"])
def test_a_damaged_file_is_named_with_the_remedy(
    small_release: Path, tmp_path: Path, config: str, damage: Callable[[bytes], bytes]
) -> None:
    copy = Path(shutil.copytree(small_release, tmp_path / "copy"))
    shard = copy / "data" / config / "train-00000.parquet"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(PolysceneError) as refused:
        load_corpus(str(copy), "train")
    said = str(refused.value)
    assert f"data/{config}/train-00000.parquet" in said and "damaged" in said
    assert said.endswith("Fetch or release the version again.")


def test_damage_inside_an_image_is_noticed(small_release: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small_release, tmp_path / "copy"))
    shard = copy / RETRIEVAL
    data = shard.read_bytes()
    place = data.index(RED["bytes"]) + len(RED["bytes"]) // 2
    shard.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    said = rf"{RETRIEVAL}: the bytes of image {sha256_of(RED)} are not those"
    with pytest.raises(ShardError, match=said):
        load_corpus(str(copy), "train")


def test_a_file_with_fewer_rows_than_promised_is_named(tmp_path: Path) -> None:
    write_release(tmp_path, {"train": [text_to_image(1), text_to_image(2)]})
    write_shard(tmp_path / RETRIEVAL, "Retrieval", [text_to_image(1)])
    write_manifest(tmp_path, [("Retrieval", "train", RETRIEVAL, 2)])
    with pytest.raises(ShardError, match=r"1 rows, the manifest says 2"):
        load_corpus(str(tmp_path), "train")


def test_a_card_that_lists_what_is_gone_is_named(tmp_path: Path) -> None:
    write_release(tmp_path, {"train": [text_to_image(1)]})
    (tmp_path / RETRIEVAL).unlink()
    with pytest.raises(VersionError, match=rf"{RETRIEVAL}: missing"):
        load_corpus(str(tmp_path), "train")


BAD_ROWS: list[tuple[Record, str]] = [
    ({"language": "tlh"}, 'rows of unknown language "tlh"'),
    ({"language": None}, 'rows of unknown language "None"'),
    ({"modality": "T->V"}, 'rows of unknown modality "T->V"'),
    ({"modality": "I->T"}, "rows whose query does not fit modality I->T"),
    ({"task_type": "ranking"}, 'rows of unknown task type "ranking"'),
    ({"query_text": ""}, "rows whose query does not fit modality T->I"),
    ({"query_text": None}, "rows whose query does not fit modality T->I"),
    ({"query_text": "x" * (MAX_TEXT_CHARS + 1)}, "rows whose query does not fit modality T->I"),
    ({"positive_image": None}, "rows whose positive does not fit modality T->I"),
    ({"positive_text": "more"}, "rows whose positive does not fit modality T->I"),
    ({"instruction": ""}, "rows whose instruction is empty or longer than 20,000 characters"),
    ({"id": None}, "rows whose id is missing or appears twice"),
    ({"id": text_to_image(0)["id"]}, "rows whose id is missing or appears twice"),
]


@pytest.mark.parametrize(("fields", "what"), BAD_ROWS)
def test_a_row_that_breaks_the_contract_is_skipped_and_counted(
    tmp_path: Path, fields: Record, what: str
) -> None:
    rows = [text_to_image(0), text_to_image(1) | fields, text_to_image(2)]
    write_release(tmp_path, {"train": rows})
    corpus = load_corpus(str(tmp_path), "train")
    assert [row.id for row in corpus.rows] == [rows[0]["id"], rows[2]["id"]]
    (skipped,) = corpus.skipped
    assert str(skipped) == f'1 {what} (first: {RETRIEVAL}, row id "{rows[1]["id"]}")'


def test_hard_negatives_that_do_not_fit_only_leave_their_row(tmp_path: Path) -> None:
    row = text_to_image(1, negative_texts=[None, "text", None], negative_images=[BLUE, None, RED])
    uneven = text_to_image(2, negative_texts=[])
    none = text_to_image(3, negative_texts=None, negative_images=None)
    write_release(tmp_path, {"train": [row, uneven, none]})
    corpus = load_corpus(str(tmp_path), "train")
    assert [len(row.negatives) for row in corpus.rows] == [2, 0, 0]
    assert {(each.what, each.count) for each in corpus.skipped} == {
        ("hard negatives that do not fit modality T->I", 1),
        ("lists of hard negatives of unequal length", 1),
    }


def test_a_split_without_a_usable_row_says_why(tmp_path: Path) -> None:
    write_release(tmp_path, {"train": [text_to_image(n, language="xx") for n in range(3)]})
    with pytest.raises(CorpusError, match=r'no row of split "train" can be used: 3 rows of unkno'):
        load_corpus(str(tmp_path), "train")


def test_text_of_the_dataset_cannot_break_a_message(tmp_path: Path) -> None:
    hostile = "x\n\x1b[31m" + "y" * 500
    write_release(tmp_path, {"train": [text_to_image(1, language=hostile), text_to_image(2)]})
    (skipped,) = load_corpus(str(tmp_path), "train").skipped
    assert str(skipped).isprintable() and len(str(skipped)) < 200


def test_a_row_is_found_in_its_file(small_release: Path) -> None:
    corpus = load_corpus(str(small_release), "train")
    rows = [
        next(row for row in corpus.rows if row.task_type == task) for task in ("vqa", "retrieval")
    ]
    assert corpus.files_of([*(row.id for row in rows), "unknown"]) == {
        rows[0].id: "data/VQA/train-00000.parquet",
        rows[1].id: RETRIEVAL,
    }


def test_batches_of_any_size_give_the_same_rows(
    small_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_corpus(str(small_release), "train")
    monkeypatch.setattr("trainer.data.shard_reader._MAX_BATCH_ROWS", 7)
    monkeypatch.setattr("trainer.data.row_reader._MIN_THREADED_BYTES", 0)
    pieces = load_corpus(str(small_release), "train")
    assert pieces.rows == whole.rows and dict(pieces.images) == dict(whole.images)


def test_splits_may_share_a_store_of_images(small_release: Path) -> None:
    images = ImageStore()
    train = load_corpus(str(small_release), "train", images=images)
    validation = load_corpus(str(small_release), "validation", images=images)
    assert train.images is validation.images and len(images) == 30
    assert len(train.groups) == 18 and len(validation.groups) == 12
