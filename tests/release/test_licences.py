"""Whose work a release is, and on what terms: sources, licences, and where they are said."""

import pytest

from builder.images.pictograms.corpus import bundled_images
from builder.release.tally import _origin


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("npm:@iconify-json/noto@1.2.9#1f34e", "npm:@iconify-json/noto@1.2.9"),
        ("npm:flag-icons@7.2.3#1f1eb-1f1f7", "npm:flag-icons@7.2.3"),
        ("https://live.example.org/65535/1.jpg?size=b#top", "live.example.org"),
        ("https://[no-url/1.jpg", "[no-url"),
        ("https://user:secret@images.example.org:8080/1.jpg", "images.example.org:8080"),
        ("laion/pictures/train#17", "laion/pictures/train"),
        ("photos-0001.parquet#4", "photos-0001.parquet"),
        ("/home/somebody/pictures/train#17", "pictures/train"),
        ("holiday/2024/#1.jpg", "holiday"),
        ("#1.jpg", "files"),
    ],
)
def test_a_source_is_named_as_its_authors_are_found(source: str, origin: str) -> None:
    assert _origin(source) == origin


def test_every_bundled_drawing_names_its_package_and_version() -> None:
    origins = {_origin(image.source) for image in bundled_images()}
    assert {"npm:@iconify-json/noto@1.2.9", "npm:flag-icons@7.2.3"} <= origins
    assert all("@" in origin.removeprefix("npm:@") for origin in origins)
