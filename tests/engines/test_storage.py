"""Files of driver and workers, on a disk and in a store of objects."""

from pathlib import Path

import pytest

from builder.engines import EngineError, Storage


@pytest.fixture(params=["disk", "memory"])
def storage(request, tmp_path) -> Storage:
    if request.param == "disk":
        return Storage(str(tmp_path / "shards"))
    return Storage(f"memory://{tmp_path.name}/shards")


def test_a_file_is_published_listed_fetched_and_deleted(storage, tmp_path):
    made = tmp_path / "made"
    made.write_bytes(b"content")
    storage.publish(made, "a.bin")
    storage.publish_bytes(b"", "b.split")
    assert storage.exists("a.bin")
    assert [(file.path, file.num_bytes) for file in storage.files()] == [
        ("a.bin", 7),
        ("b.split", 0),
    ]
    storage.fetch("a.bin", tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == b"content"
    storage.delete("a.bin")
    storage.delete("a.bin")
    assert not storage.exists("a.bin")


def test_a_version_changes_with_the_file(tmp_path):
    storage = Storage(str(tmp_path))
    (tmp_path / "a").write_bytes(b"one")
    (before,) = storage.files()
    (tmp_path / "a").write_bytes(b"two")
    (after,) = storage.files()
    assert before.version != after.version


@pytest.mark.parametrize("url", ["https://example.com/a", "zip://a::b.zip", "reference://x"])
def test_addresses_of_other_kinds_are_refused(url):
    with pytest.raises(EngineError, match="use a path or one of file, memory, s3"):
        Storage(url)


def test_a_package_that_is_missing_is_named():
    with pytest.raises(EngineError, match=r"s3://bucket/a: .*s3fs"):
        Storage("s3://bucket/a")


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path):
    storage = Storage(f"memory://{tmp_path.name}")
    with pytest.raises(EngineError, match="leads out of the folder"):
        storage.fetch("a/../../x.jpg", tmp_path / "a" / "x.jpg")


def test_an_empty_address_is_an_error():
    with pytest.raises(EngineError, match="no files there"):
        list(Storage("memory://nothing-here").files())


def test_nothing_unfinished_is_left_on_a_disk(tmp_path):
    storage = Storage(str(tmp_path / "shards"))
    with pytest.raises(FileNotFoundError):
        storage.publish(Path(tmp_path / "absent"), "a.bin")
    assert not storage.exists("a.bin")
