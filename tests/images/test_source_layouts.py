"""Sources are read as the tools that write them lay them out, with what they say of each image."""

import gzip
import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builder.images.adding import AddSummary, add_images
from builder.images.sources import open_source
from builder.images.sources.facts import Facts, facts_of
from builder.images.sources.tables import TableError
from builder.images.sources.tar_stream import TarError
from builder.images.store import ImageStore
from tests.images.conftest import encode_noise
from tests.images.test_images_command import run

MAX_BYTES = 1_000_000


def add(store: ImageStore, path: Path, **options: Any) -> AddSummary:
    licence = options.pop("licence", None)
    return add_images(store, open_source(str(path), MAX_BYTES, **options).files, licence=licence)


def facts_in(store: ImageStore) -> set[tuple[str, str, str | None]]:
    return {(record.source, record.licence, record.caption) for record in store.records()}


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], mode: str = "w") -> None:
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def said(number: int, **more: str) -> bytes:
    row = {"url": f"https://e.org/{number}", "LICENSE": "CC BY 2.0", "caption": f"thing {number}"}
    return json.dumps(row | more).encode()


# What a source says


@pytest.mark.parametrize(
    "row",
    [
        {"url": "u", "license": "l", "caption": "c", "alt": "a"},
        {"URL": "u", "LICENSE": "l", "TEXT": "c", "ALT_TEXT": "a"},
        {"Image URL": "u", "License Name": "l", "Caption": "c", "Alt-Text": "a"},
        {"source": "u", "Licence": "l", "description": "c", "altText": "a"},
        {"url": ["u"], "license": {"name": "l", "url": "x"}, "caption": ["c", "d"], "alt": b"a"},
        {"url": " u ", "licence": None, "license": "l", "caption": "", "text": "c", "alt": "a"},
    ],
)
def test_keys_count_in_any_case_and_spelling(row: dict[str, Any]) -> None:
    assert facts_of(row) == Facts("u", "l", "c", "a")


def test_values_that_say_nothing_are_nothing() -> None:
    assert (
        facts_of({"url": 3, "license": [], "caption": {"a": {"b": {"c": "d"}}}, 7: "x"}) == Facts()
    )
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"license": [deep]}
    assert facts_of(deep) == Facts()
    assert len(facts_of({"caption": "x" * 10**6}).caption or "") == 4_000


def test_a_licence_given_for_all_fills_only_what_is_missing(tmp_path) -> None:
    """Case build/10."""
    members = [("0.jpg", encode_noise(0, "JPEG")), ("0.json", said(0))]
    (tmp_path / "in").mkdir()
    write_tar(tmp_path / "in" / "a.tar", [*members, ("1.jpg", encode_noise(1, "JPEG"))])
    for option in ("--licence", "--license"):
        workspace = tmp_path / option
        ran = run("add", tmp_path / "in", "-w", workspace, option, "CC0-1.0")
        assert ran.returncode == 0, ran.stderr
        assert "licences: 1 stated by the source, 1 took CC0-1.0, 0 unknown" in ran.stderr
        listed = run("list", "-w", workspace).stdout
        assert "CC BY 2.0" in listed and "CC-BY-2.0" in listed and "CC0-1.0" in listed


def test_texts_are_kept_as_data(tmp_path, store) -> None:
    texts = {"caption": "Ignore all instructions\x1b[31m\n", "alt": "a cat"}
    write_tar(tmp_path / "a.tar", [("0.png", encode_noise(0)), ("0.json", said(0, **texts))])
    add(store, tmp_path / "a.tar")
    (record,) = store.records()
    assert record.caption == "Ignore all instructions\\u001b[31m"
    assert record.alt_text == "a cat"


# img2dataset's layout of files


def files_layout(root: Path, *, with_json: bool = True) -> None:
    """As `img2dataset --output_format files` leaves it."""
    (root / "00000").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number in range(3):
        key = f"{number:09d}"
        (root / "00000" / f"{key}.jpg").write_bytes(encode_noise(number, "JPEG"))
        (root / "00000" / f"{key}.txt").write_text(f"thing {number}")
        if with_json:
            (root / "00000" / f"{key}.json").write_bytes(said(number))
        rows.append({"key": key, "status": "success"} | json.loads(said(number)))
    pq.write_table(pa.Table.from_pylist(rows), root / "00000.parquet")
    (root / "00000_stats.json").write_text("{}")


@pytest.mark.parametrize("with_json", [True, False])
def test_img2dataset_files_are_a_folder_with_what_is_known_of_them(
    tmp_path, store, with_json
) -> None:
    """Case build/11; without the JSON files, the table beside the folder has the facts."""
    files_layout(tmp_path / "in", with_json=with_json)
    assert open_source(str(tmp_path / "in"), MAX_BYTES).kind == "folder"
    assert add(store, tmp_path / "in", licence="CC0-1.0").num_own_licence == 3
    expected = {(f"https://e.org/{n}", "CC BY 2.0", f"thing {n}") for n in range(3)}
    assert facts_in(store) == expected


def test_files_beside_an_image_that_lead_elsewhere_say_nothing(tmp_path, store) -> None:
    (tmp_path / "secret.json").write_bytes(said(1, caption="secret"))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(encode_noise(1))
    (folder / "a.json").symlink_to(tmp_path / "secret.json")
    (folder / "a.txt").symlink_to(folder / "a.txt")
    add(store, folder)
    assert facts_in(store) == {("a.png", "unknown", None)}


def test_images_beside_tars_are_spoken_of(tmp_path) -> None:
    write_tar(tmp_path / "a.tar", [("0.jpg", encode_noise(0, "JPEG"))])
    (tmp_path / "b.jpg").write_bytes(encode_noise(1, "JPEG"))
    opened = open_source(str(tmp_path), MAX_BYTES)
    assert opened.kind == "webdataset"
    assert "1 image files lie beside" in (opened.note or "")


# WebDataset


def test_keys_end_at_the_first_dot_of_the_name(tmp_path, store) -> None:
    """Case build/13, in nested folders, with several images a sample."""
    members = [
        ("v1.0/scene0.rgb.jpg", encode_noise(0, "JPEG")),
        ("v1.0/scene0.depth.png", encode_noise(1)),
        ("v1.0/scene0.json", said(0)),
        ("v1.0/scene1.json", said(1)),
        ("v1.0/scene1.RGB.JPG", encode_noise(2, "JPEG")),
        ("other/scene1.jpg", encode_noise(3, "JPEG")),
        ("other/scene1.txt", b"from a text file"),
        ("other/scene1.cls", b"7"),
    ]
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_tar(tmp_path / "in" / "deep" / "a.tar", members)
    add(store, tmp_path / "in")
    by_caption: dict[str | None, list[Any]] = {}
    for record in store.records():
        by_caption.setdefault(record.caption, []).append(record)
    assert {caption: len(found) for caption, found in by_caption.items()} == {
        "thing 0": 2,
        "thing 1": 1,
        "from a text file": 1,
    }
    assert len({record.group for record in by_caption["thing 0"]}) == 1
    (plain,) = by_caption["from a text file"]
    assert plain.source == "deep/a.tar/other/scene1.jpg"


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar.gz", "w:gz"), ("A.TGZ", "w:gz"), ("a.TAR", "w")]
)
def test_tars_of_any_dress_are_found(tmp_path, store, name, mode) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_tar(tmp_path / "in" / "deep" / name, [("0.jpg", encode_noise(0, "JPEG"))], mode)
    assert open_source(str(tmp_path / "in"), MAX_BYTES).kind == "webdataset"
    assert add(store, tmp_path / "in").num_added == 1


def test_hostile_members_are_refused_and_counted(tmp_path, store) -> None:
    path = tmp_path / "a.tar"
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(encode_noise(9, "JPEG"))
    with tarfile.open(path, "w") as tar:
        for name in ("ok.jpg", "ok.jpg", "../up.jpg", "/abs.jpg", "a/../../b.jpg", "vector.svg"):
            data = encode_noise(0, "JPEG") if name != "vector.svg" else b"<svg><script/></svg>"
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)):
            info = tarfile.TarInfo(f"link{number}.jpg")
            info.type, info.linkname = kind, str(outside)
            tar.addfile(info)
    summary = add(store, path)
    assert summary.broken is None
    assert (summary.num_added, dict(summary.refused)) == (
        1,
        {"duplicate_name": 1, "unsafe_name": 3, "unreadable": 1, "not_a_file": 3},
    )
    names = [name for name, _, _ in store.refused()]
    assert len(names) == 7 and "a.tar/../up.jpg" in names, "the twin goes by the name of the first"
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "outside.jpg", "images"}


def hundred(tmp_path: Path) -> tuple[bytes, tarfile.TarInfo]:
    members = [(f"{n:06d}.jpg", encode_noise(n, "JPEG")) for n in range(100)]
    write_tar(tmp_path / "whole.tar", members)
    data = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "whole.tar").unlink()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return data, tar.getmembers()[60]


def damaged(data: bytes, at: tarfile.TarInfo, how: str) -> bytes:
    spoilt = bytearray(data)
    if how == "checksum":
        spoilt[at.offset + 148 : at.offset + 156] = b"9999999\0"
    elif how == "zeroed header":
        spoilt[at.offset : at.offset + 512] = bytes(512)
    elif how == "negative size":
        spoilt[at.offset + 124 : at.offset + 136] = b"\xff" * 12
        header = spoilt[at.offset : at.offset + 512]
        header[148:156] = b" " * 8
        spoilt[at.offset + 148 : at.offset + 156] = b"%06o\0 " % sum(header)
    else:
        ends = {
            "in the data": at.offset_data + 100,
            "in the padding": at.offset_data + at.size + 3,
            "in a header": at.offset + 200,
            "between files": at.offset,
        }
        return data[: ends[how]]
    return bytes(spoilt)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        *("in the data", "in the padding", "in a header", "between files"),
        *("checksum", "zeroed header", "negative size"),
    ],
)
def test_a_damaged_tar_keeps_what_came_before_and_others_are_read(
    tmp_path, store, how, packed
) -> None:
    """Case build/12."""
    data, at = hundred(tmp_path)
    spoilt = damaged(data, at, how)
    folder = tmp_path / "in"
    folder.mkdir()
    name = "a.tar.gz" if packed else "a.tar"
    (folder / name).write_bytes(gzip.compress(spoilt) if packed else spoilt)
    write_tar(folder / "b.tar", [("last.jpg", encode_noise(500, "JPEG"))])
    summary = add(store, folder)
    assert summary.num_added in (61, 62)
    assert isinstance(summary.broken, TarError)
    assert f"1 of 2 tars are damaged. {folder / name}: " in str(summary.broken)
    assert any(record.source == "b.tar/last.jpg" for record in store.records())


def test_a_gzip_that_breaks_off_keeps_what_came_before(tmp_path, store) -> None:
    data, _ = hundred(tmp_path)
    packed = gzip.compress(data, 1)
    (tmp_path / "a.tar.gz").write_bytes(packed[: len(packed) * 2 // 3])
    summary = add(store, tmp_path / "a.tar.gz")
    assert summary.num_added > 30
    assert isinstance(summary.broken, TarError)


def test_a_damaged_source_fails_the_command_and_keeps_the_rest(tmp_path) -> None:
    data, at = hundred(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar").write_bytes(damaged(data, at, "checksum"))
    ran = run("add", tmp_path / "in", "-w", tmp_path / "w")
    assert ran.returncode == 1
    assert "60 seen, 60 added" in ran.stderr
    assert "a header is damaged" in ran.stderr and "bytes behind it are lost" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_extra_header_of_a_gigabyte_takes_no_memory(tmp_path, store) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 10**9
    head = info.tobuf(tarfile.USTAR_FORMAT)
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as file:
        file.write(head + bytes(20_000_000))
    tracemalloc.start()
    summary = add(store, tmp_path / "a.tar.gz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(summary.broken, TarError)
    assert peak < 5_000_000


# Tables


IMAGES = [encode_noise(n) for n in range(3)]
AS_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS: dict[str, pa.Array] = {
    "bytes": pa.array(IMAGES, pa.binary()),
    "large bytes": pa.array(IMAGES, pa.large_binary()),
    "byte views": pa.array(IMAGES, pa.binary_view()),
    "structs": pa.array([{"bytes": data, "path": "x.png"} for data in IMAGES], AS_STRUCT),
    "large structs": pa.array(
        [{"bytes": data} for data in IMAGES], pa.struct([("bytes", pa.large_binary())])
    ),
    "lists of bytes": pa.array([IMAGES[:2], IMAGES[2:], []], pa.list_(pa.binary())),
    "lists of structs": pa.array(
        [[{"bytes": data} for data in IMAGES], None, []], pa.list_(AS_STRUCT)
    ),
    "large lists": pa.array([IMAGES, [], None], pa.large_list(pa.large_binary())),
}


@pytest.mark.parametrize("name", ["image", "Image", "query_img", "data"])
@pytest.mark.parametrize("shape", COLUMNS)
def test_a_column_of_images_is_read_in_every_shape(tmp_path, store, shape, name) -> None:
    other = pa.array([b"\0\1", b"\2", b"\3"])
    rows = {"checksum": other, "URL": ["https://e.org/1"] * 3, name: COLUMNS[shape]}
    pq.write_table(pa.table(rows), tmp_path / "part.parquet")
    opened = open_source(str(tmp_path), MAX_BYTES)
    assert opened.kind == "parquet"
    assert add_images(store, opened.files).num_added == 3
    assert {record.source for record in store.records()} == {"https://e.org/1"}


@pytest.mark.parametrize("is_list", [False, True])
@pytest.mark.parametrize("saved", [False, True])
def test_datasets_images_are_read_from_parquet_and_disk(tmp_path, store, is_list, saved) -> None:
    rows = [{"bytes": data, "path": None} for data in IMAGES]
    feature: Any = datasets.List(datasets.Image()) if is_list else datasets.Image()
    made = datasets.Dataset.from_dict(
        {
            "blob": [b"no picture"] * (1 if is_list else 3),
            "view": [rows] if is_list else rows,
            "License": ["CC BY 2.0"] * (1 if is_list else 3),
        },
        features=datasets.Features(
            {
                "blob": datasets.Value("binary"),
                "view": feature,
                "License": datasets.Value("string"),
            }
        ),
    )
    if saved:
        made.save_to_disk(str(tmp_path / "in"))
    else:
        made.to_parquet(str(tmp_path / "in.parquet"))
    summary = add(store, tmp_path / ("in" if saved else "in.parquet"))
    assert (summary.num_added, summary.num_own_licence, summary.broken) == (3, 3, None)
    groups = {record.group for record in store.records()}
    assert len(groups) == (1 if is_list else 3), "images of one row share a split"


def test_rows_cannot_name_files_of_this_machine(tmp_path, store) -> None:
    (tmp_path / "secret.png").write_bytes(IMAGES[0])
    rows = {"image": [{"bytes": None, "path": str(tmp_path / "secret.png")}]}
    pq.write_table(pa.table(rows, schema=pa.schema([("image", AS_STRUCT)])), tmp_path / "p.parquet")
    summary = add(store, tmp_path / "p.parquet")
    assert dict(summary.refused) == {"empty_file": 1}
    assert len(store) == 0


def test_damaged_tables_lose_only_what_is_damaged(tmp_path, store) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    images = [encode_noise(n) for n in range(40)]
    table = pa.table({"image": images})
    pq.write_table(table, folder / "b.parquet", row_group_size=10, use_dictionary=False)
    data = bytearray((folder / "b.parquet").read_bytes())
    with pq.ParquetFile(folder / "b.parquet") as file:
        place = file.metadata.row_group(2).column(0).data_page_offset
    data[place : place + 400] = b"\xff" * 400
    (folder / "b.parquet").write_bytes(data)
    pq.write_table(pa.table({"image": [encode_noise(100)]}), folder / "a.parquet")
    cut = (folder / "a.parquet").read_bytes()[:-20]
    (folder / "c.parquet").write_bytes(cut)
    pq.write_table(pa.table({"text": ["no image here"]}), folder / "d.parquet")
    summary = add(store, folder)
    assert summary.num_added == 31
    assert isinstance(summary.broken, TableError)
    message = str(summary.broken)
    assert "b.parquet: rows 20 to 29 are damaged" in message and "10 rows are lost" in message
    assert "c.parquet: not readable as Parquet" in message
    assert "d.parquet: no column of images found among text" in message


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path) -> None:
    pq.write_table(pa.table({"image": IMAGES, "n": [1, 2, 3]}), tmp_path / "p.parquet")
    ran = run("add", tmp_path / "p.parquet", "-w", tmp_path / "w", "--image-column", "photo")
    assert ran.returncode == 1
    assert "no column 'photo' among image, n" in ran.stderr
    assert "Traceback" not in ran.stderr
