"""The store keeps bytes as they came, once, and a crash leaves it sound."""

import base64
import hashlib
import os
import signal
import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image

from builder.images.store import ImageStore, ImageStoreError
from builder.images.vetting import ImageRefusedError


def is_intact(store: ImageStore, sha256: str) -> bool:
    """Whether the stored bytes match the hash they are named by."""
    return hashlib.sha256(store.read(sha256).data).hexdigest() == sha256


def test_keeps_bytes_as_they_came_under_their_hash(store, noise):
    data = noise(1, "JPEG")
    record = store.add(data, group="g", licence="CC0-1.0", source="a.jpg")
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    file = store.read(record.sha256)
    assert (file.data, file.path) == (data, f"{record.sha256}.jpg")
    assert (record.width, record.height, record.num_bytes) == (96, 64, len(data))
    assert (record.group, record.licence, record.source) == ("g", "CC0-1.0", "a.jpg")


def test_adding_twice_changes_nothing(store, noise):
    first = store.add(noise(1), group="first", source="a")
    second = store.add(noise(1), group="second", source="b")
    assert first == second
    assert len(store) == 1


def test_copies_share_a_group_unless_told_otherwise(store, noise):
    with Image.open(BytesIO(noise(1, "PNG"))) as image:
        buffer = BytesIO()
        image.save(buffer, "WEBP", lossless=True)
    records = [store.add(noise(1, "PNG")), store.add(buffer.getvalue()), store.add(noise(2))]
    assert records[0].group == records[1].group != records[2].group


def test_refused_image_leaves_nothing(store):
    with pytest.raises(ImageRefusedError):
        store.add(b"not an image")
    assert len(store) == 0
    assert not list(store.directory.glob("blobs/*/*"))


def test_batch_that_fails_adds_nothing(store, noise):
    with pytest.raises(RuntimeError), store.batch():
        store.add(noise(1))
        raise RuntimeError
    assert len(store) == 0
    with store.batch():
        store.add(noise(1))
    assert len(store) == 1


def test_unknown_image_says_what_to_do(store):
    with pytest.raises(ImageStoreError, match="images add"):
        store.record("0" * 64)


def test_lost_blob_is_said_and_restored_by_adding_again(store, noise):
    record = store.add(noise(1))
    store.path_of(record.sha256).unlink()
    with pytest.raises(ImageStoreError, match="Add the images again"):
        store.read(record.sha256)
    store.add(noise(1))
    assert is_intact(store, record.sha256)


def test_many_are_found_at_once_and_read_into_memory_that_is_there(store, noise):
    added = [store.add(noise(number)) for number in range(5)]
    found = store.records_of({record.sha256 for record in added})
    assert found == {record.sha256: record for record in added}
    memory = bytearray(added[3].num_bytes)
    store.read_into(added[3], memoryview(memory))
    assert bytes(memory) == noise(3)
    assert store.mean_bytes() == sum(record.num_bytes for record in added) / 5
    with pytest.raises(ImageStoreError, match=r"no image 0{12}…"):
        store.records_of([added[0].sha256, "0" * 64])


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_bytes_that_lost_their_hash_are_refused(store, noise, change):
    record = store.add(noise(1))
    path = store.path_of(record.sha256)
    path.write_bytes(change(noise(1)))
    with pytest.raises(ImageStoreError, match=r"damaged\. Delete it"):
        store.read_into(record, memoryview(bytearray(record.num_bytes)))
    path.unlink()
    store.add(noise(1))
    store.read_into(record, memoryview(bytearray(record.num_bytes)))


def test_damaged_database_is_one_clear_error(tmp_path):
    (tmp_path / "images.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(ImageStoreError, match="backup"):
        ImageStore(tmp_path)


def test_records_come_in_order_of_hash_across_pages(store, noise):
    added = {store.add(noise(seed)).sha256 for seed in range(12)}
    assert [record.sha256 for record in store.records()] == sorted(added)


def test_data_url_holds_the_very_bytes_of_a_small_image(store, noise):
    data = noise(1, "WEBP")
    url = store.data_url(store.add(data).sha256, 1024)
    assert url == f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def test_data_url_scales_a_large_image_once(store, noise):
    record = store.add(noise(1, "PNG", (400, 200)))
    url = store.data_url(record.sha256, 100)
    kind, encoded = url.split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(BytesIO(base64.b64decode(encoded))) as image:
        assert image.size == (100, 50)
    cached = list((store.directory / "scaled").rglob("*.jpg"))
    assert len(cached) == 1
    before = cached[0].stat().st_mtime_ns
    assert store.data_url(record.sha256, 100) == url
    assert cached[0].stat().st_mtime_ns == before
    assert store.read(record.sha256).data == noise(1, "PNG", (400, 200))


def test_hostile_text_is_kept_printable(store, noise):
    record = store.add(noise(1), source="a\udcff\n\x1b[31m.jpg", licence="x\0")
    assert record.source.isprintable()
    assert store.record(record.sha256).source == record.source


_ADD_FOREVER = """
import sys
from pathlib import Path
from builder.images.store import ImageStore
from tests.images.conftest import encode_noise
store = ImageStore(Path(sys.argv[1]))
seed = 0
while True:
    with store.batch():
        for _ in range(5):
            store.add(encode_noise(seed))
            seed += 1
    print(seed, flush=True)
"""


def test_killed_while_adding_every_row_has_its_blob(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", _ADD_FOREVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert process.stdout
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with ImageStore(tmp_path) as store:
        assert len(store) >= 15
        assert all(is_intact(store, record.sha256) for record in store.records())
