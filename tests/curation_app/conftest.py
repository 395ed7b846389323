"""A small release, opened; and the real server on it, in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from curation_app.data.version import VersionDataset, open_dataset
from tests.curation_app.running_app import RunningApp
from tests.curation_app.tiny_release import (
    add_image,
    draw,
    make_sample,
    tiny_samples,
    write_release,
)

HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">${document.title='owned'}",
    "a\u202eevil\u202c b\u200b می\u200cخواهم",
    "{{constructor}} {{{this}}} <script>document.title='owned'</script> `${1}` \\u0041",
)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty plain samples; one of hostile texts (language `fr`), one of broken images (`de`)."""
    samples, images = tiny_samples()
    shas = [add_image(images, draw(number)) for number in (201, 202, 203)]
    samples.append(
        make_sample(
            "retrieval",
            "IT->IT",
            "fr",
            (shas[0], shas[1], shas[2]),
            HOSTILE,
            "${document.title='owned'} <b>bold</b>",
        )
    )
    not_image, truncated = add_image(images, b"not an image"), add_image(images, draw(300)[:200])
    broken = (not_image, truncated, shas[2])
    samples.append(make_sample("retrieval", "IT->IT", "de", broken, ("eins", "zwei", "drei")))
    return write_release(tmp_path_factory.mktemp("release"), samples, images)


@pytest.fixture(scope="session")
def dataset(release: Path) -> VersionDataset:
    return open_dataset(str(release))


@pytest.fixture(scope="session")
def app(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The server on the small release, with a store of its own; started once, as it takes long."""
    running = RunningApp(release, tmp_path_factory.mktemp("store") / "reviews.sqlite")
    running.start()
    yield running
    assert running.stop() < 10, "the server was slow to end"
