"""Images are kept once, in memory up to a bound and then in a file without a name."""

import hashlib
import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from command_line.run import os_error_line
from schemas.pictures import PictureError
from tests.trainer.releases import draw
from trainer.data.image_store import ImageStore


def contents(count: int) -> list[bytes]:
    return [bytes([number]) * (100 + number) for number in range(count)]


@pytest.mark.parametrize("max_memory_bytes", [0, 1_000, 10**9])
def test_images_come_back_as_they_were(tmp_path: Path, max_memory_bytes: int) -> None:
    images = ImageStore(max_memory_bytes=max_memory_bytes, directory=tmp_path)
    names = [images.add(memoryview(data)) for data in contents(50)]
    assert names == [hashlib.sha256(data).hexdigest() for data in contents(50)]
    assert [images[name] for name in names] == contents(50)
    assert list(images) == names and names[0] in images and "other" not in images
    in_memory, in_file = images.num_bytes
    assert in_memory <= max_memory_bytes
    assert in_memory + in_file == sum(map(len, contents(50)))
    assert list(tmp_path.iterdir()) == []  # the file has no name, so nothing stays behind


def test_equal_images_are_kept_once(tmp_path: Path) -> None:
    images = ImageStore(max_memory_bytes=0, directory=tmp_path)
    assert len({images.add(b"the same") for _ in range(5)}) == 1
    assert len(images) == 1 and images.num_bytes == (0, 8)


def test_threads_may_add_and_read_at_once(tmp_path: Path) -> None:
    images = ImageStore(max_memory_bytes=2_000, directory=tmp_path)

    def add_and_read(data: bytes) -> bool:
        return images[images.add(data)] == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(add_and_read, contents(200) * 5))
    assert len(images) == 200


def test_pictures_are_decoded_upright_and_opaque(tmp_path: Path) -> None:
    images = ImageStore(directory=tmp_path)
    picture = images.picture(images.add(draw(("red", "circle"), "plain")))
    assert (picture.mode, picture.size) == ("RGB", (48, 48))
    with pytest.raises(PictureError):
        images.picture(images.add(b"not a picture"))
    with pytest.raises(KeyError):
        images.picture("absent")


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file of this process may grow beyond 2,000 bytes, as on a disk that is all but full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("no_room")
def test_a_place_without_room_is_named(tmp_path: Path) -> None:
    images = ImageStore(max_memory_bytes=0, directory=tmp_path)
    kept = images.add(b"x" * 1_500)
    with pytest.raises(OSError) as refused:
        images.add(os.urandom(5_000))
    assert str(tmp_path) in os_error_line(refused.value)
    assert images[kept] == b"x" * 1_500 and len(images) == 1
