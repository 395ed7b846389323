"""Each kind of source is read, and bad files in it are counted, never fatal."""

import io
import json
import os
import tarfile
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from builder.images.adding import add_images
from builder.images.sources import Candidate, RefusedFile, open_source
from builder.images.sources.choose import SourceError
from builder.images.sources.tables import TableError
from builder.images.sources.webdataset import TarError

MAX_BYTES = 1_000_000


def read(name: Path | str, **options) -> list:
    return list(open_source(str(name), MAX_BYTES, **options).files)


def test_folder_is_searched_recursively_and_in_order(tmp_path, noise, store):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b.jpg").write_bytes(noise(1, "JPEG"))
    (tmp_path / "in" / "deep" / "a.PNG").write_bytes(noise(2, "PNG"))
    (tmp_path / "in" / "c.webp").write_bytes(noise(3, "WEBP"))
    (tmp_path / "in" / "notes.txt").write_text("no image")
    source = open_source(str(tmp_path / "in"), MAX_BYTES)
    assert (source.kind, source.num_files) == ("folder", 3)
    summary = add_images(store, source.files, licence="CC0-1.0", source="mine")
    assert (summary.num_seen, summary.num_added) == (3, 3)
    records = sorted(store.records(), key=lambda record: record.source)
    assert [record.source for record in records] == ["mine/b.jpg", "mine/c.webp", "mine/deep/a.PNG"]
    assert {record.licence for record in records} == {"CC0-1.0"}


def test_bad_files_are_refused_counted_and_listed(tmp_path, noise, store):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.jpg").write_bytes(noise(1, "JPEG"))
    (folder / "misnamed.jpg").write_bytes(noise(2, "PNG"))
    (folder / "cut.png").write_bytes(noise(3, "PNG")[:200])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("hello")
    (folder / "big.png").write_bytes(b"x" * (MAX_BYTES + 1))
    summary = add_images(store, open_source(str(folder), MAX_BYTES).files)
    assert (summary.num_seen, summary.num_added, summary.num_misnamed) == (6, 2, 1)
    expected = {"truncated": 1, "empty_file": 1, "unreadable": 1, "too_many_bytes": 1}
    assert dict(summary.refused) == expected
    assert {name for name, _, _ in store.refused()} == {
        "cut.png",
        "empty.jpg",
        "text.jpg",
        "big.png",
    }
    assert store.refused_by_reason() == expected
    again = add_images(store, open_source(str(folder), MAX_BYTES).files)
    assert (again.num_added, again.num_present) == (0, 2)
    (folder / "cut.png").write_bytes(noise(3, "PNG"))
    add_images(store, open_source(str(folder), MAX_BYTES).files)
    assert "truncated" not in store.refused_by_reason()


def test_links_out_of_the_folder_are_refused_and_loops_end(tmp_path, noise):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(noise(1, "JPEG"))
    (folder / "real.jpg").write_bytes(noise(2, "JPEG"))
    (folder / "inside.jpg").symlink_to(folder / "real.jpg")
    (folder / "outside.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "up").symlink_to(tmp_path)
    found = {entry.name: entry for entry in read(folder)}
    assert set(found) == {"real.jpg", "inside.jpg", "outside.jpg", "loop.jpg"}
    assert isinstance(found["inside.jpg"], Candidate)
    assert isinstance(found["outside.jpg"], RefusedFile)
    assert found["outside.jpg"].reason == "link_leaves_folder"
    assert found["loop.jpg"].reason == "unreadable"


def test_hostile_file_names_are_only_names(tmp_path, noise, store):
    folder = os.fsencode(tmp_path / "in")
    os.mkdir(folder)  # noqa: PTH102  # bytes, as the name below is no UTF-8
    names = (b"\xff\xfe.jpg", b"a\nb.jpg", b"--help.jpg", "\u202egpj.jpg".encode())
    for seed, name in enumerate(names):
        with open(os.path.join(folder, name), "wb") as handle:  # noqa: PTH118, PTH123
            handle.write(noise(seed, "JPEG"))
    summary = add_images(store, read(tmp_path / "in"))
    assert summary.num_added == 4
    assert all(record.source.isprintable() for record in store.records())


def test_a_fifo_is_passed_over_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert [entry.reason for entry in read(tmp_path)] == ["unreadable"]


def test_group_by_folder_makes_one_group_a_subfolder(tmp_path, noise, store):
    for seed, name in enumerate(("cat/1.png", "cat/2.png", "dog/1.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(seed))
    add_images(store, read(tmp_path / "in", group_by_folder=True))
    assert sorted({record.group for record in store.records()}) == ["folder:cat", "folder:dog"]


def test_webdataset_tars_give_url_and_licence_from_the_sidecar(tmp_path, noise, store):
    members = {
        "00001.jpg": noise(1, "JPEG"),
        "00001.json": json.dumps({"url": "https://example.org/1.jpg", "license": "CC-BY-4.0"}),
        "00001.txt": "a caption",
        "00002.json": "{broken",
        "00002.png": noise(2, "PNG"),
        "../escape.jpg": noise(3, "JPEG"),
        "empty.webp": b"",
    }
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    before = set(tmp_path.rglob("*"))
    source = open_source(str(tmp_path), MAX_BYTES)
    assert source.kind == "webdataset"
    summary = add_images(store, source.files)
    refused = {"empty_file": 1, "unsafe_name": 1, "not_a_file": 1}
    assert (summary.num_added, dict(summary.refused)) == (2, refused)
    by_source = {record.source: record.licence for record in store.records()}
    assert by_source["https://example.org/1.jpg"] == "CC-BY-4.0"
    assert by_source["00000.tar/00002.png"] == "unknown"
    outside = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(store.directory) for path in outside)


def test_broken_tar_keeps_what_came_before_and_says_so(tmp_path, noise, store):
    data = noise(1, "PNG")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(3):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    content = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(content[: len(content) // 2 - 1500])
    with pytest.raises(TarError, match=r"a\.tar"):
        read(tmp_path / "a.tar")


@pytest.mark.parametrize("as_struct", [True, False])
def test_parquet_with_bytes_is_read(tmp_path, noise, store, as_struct):
    images = [noise(1), None, noise(2, "JPEG")]
    column = [{"bytes": data, "path": None} for data in images] if as_struct else images
    table = pa.table({"n": [1, 2, 3], "image": column, "url": ["https://e.org/1", None, ""]})
    pq.write_table(table, tmp_path / "part.parquet")
    source = open_source(str(tmp_path), MAX_BYTES)
    assert (source.kind, source.num_files) == ("parquet", 3)
    summary = add_images(store, source.files)
    assert (summary.num_added, dict(summary.refused)) == (2, {"empty_file": 1})
    sources = {record.source for record in store.records()}
    assert sources == {"https://e.org/1", "part.parquet#2"}


def test_parquet_without_images_names_its_columns(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "part.parquet")
    with pytest.raises(TableError, match=r"text.*--image-column"):
        read(tmp_path)


def test_saved_dataset_is_read(tmp_path, noise, store):
    with Image.open(io.BytesIO(noise(1))) as image:
        image.load()
        rows = datasets.Dataset.from_dict(
            {"picture": [image], "licence": ["CC0-1.0"]},
            features=datasets.Features(
                {"picture": datasets.Image(), "licence": datasets.Value("string")}
            ),
        )
    rows.save_to_disk(str(tmp_path / "saved"))
    source = open_source(str(tmp_path / "saved"), MAX_BYTES)
    assert source.kind == "dataset"
    add_images(store, source.files)
    assert [record.licence for record in store.records()] == ["CC0-1.0"]


def test_bundled_pictograms_carry_group_licence_and_languages(store):
    source = open_source("pictograms", MAX_BYTES)
    candidates = [entry for entry, _ in zip(source.files, range(40), strict=False)]
    assert add_images(store, candidates).num_added == 40
    record = next(iter(store.records()))
    assert record.group.startswith("pictogram:")
    assert record.licence in {"MIT", "Apache-2.0"}
    assert record.languages is not None


@pytest.mark.parametrize("name", ["nowhere", "./no/where"])
def test_a_source_that_is_not_there_is_one_clear_error(name):
    with pytest.raises(SourceError, match="no such file or folder"):
        open_source(name, MAX_BYTES)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.JPEG", "photo", "photo.picture"])
def test_a_single_image_file_is_a_source_of_one(tmp_path, noise, store, name):
    (tmp_path / name).write_bytes(noise(1, "JPEG"))
    (tmp_path / "other.jpg").write_bytes(noise(2, "JPEG"))
    source = open_source(str(tmp_path / name), MAX_BYTES)
    assert (source.kind, source.num_files) == ("file", 1)
    assert add_images(store, source.files, source="mine").num_added == 1
    assert [record.source for record in store.records()] == [f"mine/{name}"]


def test_a_linked_image_file_is_read_and_a_large_one_is_not(tmp_path, noise):
    data = noise(1, "PNG")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(data)
    (tmp_path / "link.png").symlink_to(tmp_path / "in" / "a.png")
    assert read(tmp_path / "link.png") == [Candidate("link.png", data, "link.png")]
    (large,) = open_source(str(tmp_path / "link.png"), len(data) - 1).files
    assert isinstance(large, RefusedFile)
    assert large.reason == "too_many_bytes"


def test_tars_and_tables_are_known_by_what_they_hold(tmp_path, noise):
    (tmp_path / "a.jpg").write_bytes(noise(1, "JPEG"))
    with tarfile.open(tmp_path / "shard", "w:gz") as tar:
        tar.add(tmp_path / "a.jpg", "a.jpg")
    pq.write_table(pa.table({"image": [noise(2)]}), tmp_path / "table")
    assert [entry.name for entry in read(tmp_path / "shard")] == ["shard/a.jpg"]
    assert [entry.name for entry in read(tmp_path / "table")] == ["table#0"]


def test_a_folder_is_no_image_file(tmp_path):
    with pytest.raises(SourceError, match="--kind folder"):
        read(tmp_path, kind="file")
