"""Stores that earlier code made are brought over, and nothing that names their images is lost."""

import hashlib
import io
import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from builder.config import BuildConfig, save_config
from builder.images.index import index_images
from builder.images.normalising import normalise_store
from builder.images.store import ImageStore, ImageStoreError
from builder.images.vetting import EXTENSIONS
from builder.release import Version, open_inputs, release
from builder.workspace import Workspace, open_workspace
from schemas.manifest import read_manifest
from schemas.shards import read_records
from tests.images.conftest import encode_noise
from tests.release.small_workspace import fill_ledger, kept_samples, review, save_reviews

SECRET = "Jane Doe, N 52.5163 E 13.3777"

_FIRST_SCHEMA = """
CREATE TABLE image (
    sha256 TEXT PRIMARY KEY, format TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    num_bytes INTEGER NOT NULL, phash TEXT NOT NULL, image_group TEXT NOT NULL,
    licence TEXT NOT NULL, source TEXT NOT NULL, languages TEXT
) WITHOUT ROWID;
CREATE TABLE refused (name TEXT PRIMARY KEY, reason TEXT NOT NULL, what TEXT NOT NULL)
WITHOUT ROWID;
"""


def photo(seed: int, orientation: int = 1) -> bytes:
    """A JPEG as a phone writes it."""
    with Image.open(io.BytesIO(encode_noise(seed, "PNG", (96, 64)))) as image:
        tags = Image.Exif()
        tags[0x0112], tags[0x010E] = orientation, SECRET
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90, exif=tags.tobytes())
    return buffer.getvalue()


def old_store(directory: Path, files: list[bytes]) -> list[str]:
    """A store as the first releases of this program left it; the hashes of its images."""
    directory.mkdir(parents=True)
    db = sqlite3.connect(directory / "images.sqlite")
    db.executescript(_FIRST_SCHEMA)
    names: list[str] = []
    for number, data in enumerate(files):
        with Image.open(io.BytesIO(data)) as image:
            facts = str(image.format), *image.size
        name = hashlib.sha256(data).hexdigest()
        path = directory / "blobs" / name[:2] / f"{name}.{EXTENSIONS[facts[0]]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        row = (
            name,
            *facts,
            len(data),
            "0" * 16,
            f"group-{number // 2}",
            "CC BY 2.0",
            f"set/{number}",
        )
        db.execute("INSERT INTO image VALUES (?,?,?,?,?,?,?,?,?,NULL)", row)
        names.append(name)
    db.commit()
    db.close()
    return names


@pytest.fixture
def files() -> list[bytes]:
    """Upright with metadata, turned, and normal already."""
    return [
        *(photo(number) for number in range(4)),
        *(photo(number, 6) for number in range(4, 8)),
        *(encode_noise(number) for number in range(8, 12)),
    ]


@pytest.fixture
def workspace(tmp_path: Path, files: list[bytes]) -> Workspace:
    opened = open_workspace(tmp_path / "w", create=True)
    config = BuildConfig(name="small", num_samples=60)
    config.images.embedder = "descriptor"
    config.images.validation_share = 0.25
    save_config(config, opened.config_path)
    fill_ledger(opened, old_store(opened.images_dir, files), 60)
    return opened


def make(workspace: Workspace, version: str) -> Path:
    with open_inputs(workspace, None) as inputs:
        return release(inputs, Version.parse(version), workspace.releases_dir).directory


def published(directory: Path) -> tuple[dict[str, bytes], dict[str, dict]]:
    """Images by the stem of their path, and provenance by id."""
    images: dict[str, bytes] = {}
    provenance: dict[str, dict] = {}
    for entry in read_manifest(directory).shards:
        for record in read_records(directory / entry.path):
            if entry.config == "provenance":
                provenance[record["id"]] = record
            elif entry.config != "reviews":
                sides = record["query_image"], record["positive_image"], *record["negative_images"]
                images |= {Path(side["path"]).stem: side["bytes"] for side in sides if side}
    return images, provenance


def test_old_stores_open_and_are_read_as_before(tmp_path, files) -> None:
    names = old_store(tmp_path / "images", files)
    with ImageStore(tmp_path / "images") as store:
        assert [store.read(name).data for name in names] == files
        assert store.num_not_normal() == len(files)
        store.add(encode_noise(50))
        assert len(store) == len(files) + 1


def test_a_store_is_brought_over_and_keeps_every_name(tmp_path, files) -> None:
    names = old_store(tmp_path / "images", files)
    with ImageStore(tmp_path / "images") as store:
        before = index_images(store, 0.1)
        summary = normalise_store(store)
        assert (summary.num_checked, summary.num_stripped, summary.num_encoded) == (12, 4, 4)
        assert not summary.failed and store.num_not_normal() == 0
        assert index_images(store, 0.1).digest == before.digest, "plans come out as before"
        for name, data in zip(names, files, strict=True):
            record = store.record(name)
            kept = store.read(name).data
            assert hashlib.sha256(kept).hexdigest() == record.sha256
            assert SECRET.encode() not in kept
            assert store.record(record.sha256).sha256 == record.sha256
            assert record.licence_id == "CC-BY-2.0"
            assert store.add(data) == record, "the file that it came as is recognised"
            if record.name != record.sha256:
                assert record.original is not None
                assert (record.original.sha256, record.original.num_bytes) == (name, len(data))
        turned = store.record(names[4])
        assert (turned.width, turned.height) == (64, 96)
        assert len(list((tmp_path / "images" / "blobs").glob("*/*"))) == len(files)
        assert len(store) == len(files)
        assert normalise_store(store).num_checked == 0


def test_two_files_of_one_picture_stay_two_names(tmp_path) -> None:
    plain = photo(1)
    renamed = plain.replace(SECRET.encode(), SECRET.swapcase().encode())
    names = old_store(tmp_path / "images", [plain, renamed])
    with ImageStore(tmp_path / "images") as store:
        normalise_store(store)
        assert store.record(names[0]).sha256 == store.record(names[1]).sha256
        assert store.read(names[0]) == store.read(names[1])
        assert len(store) == 2


def test_what_cannot_be_decoded_is_named_and_stays(tmp_path) -> None:
    good, bad = photo(1), photo(2)
    names = old_store(tmp_path / "w" / "images", [good, bad])
    path = next((tmp_path / "w" / "images" / "blobs").glob(f"*/{names[1]}.jpg"))
    path.write_bytes(bad[: len(bad) // 2])
    open_workspace(tmp_path / "w", create=True)
    command = [sys.executable, "-m", "builder", "images", "normalise", "-w", str(tmp_path / "w")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "2 checked, 1 freed of metadata" in ran.stderr
    assert f"image {names[1][:12]}… cannot be decoded" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_releases_follow_the_new_bytes_and_reviews_the_old_rows(workspace, caplog) -> None:
    samples = kept_samples(workspace)
    rejected = next(row for row in samples if row.query_image)
    edited = next(
        row
        for row in samples
        if row.language == "en" and row.query_text and row.images and row.id != rejected.id
    )
    text = "The old fisherman mends his nets beside the harbour wall every morning."
    save_reviews(
        workspace,
        [
            review(rejected, 1, verdict="reject", reasons=["other"]),
            review(edited, 2, edits={"query_text": text}, verdict="accept"),
        ],
    )
    with caplog.at_level(logging.WARNING):
        first = make(workspace, "0.1.0")
    assert "12 images were added by an earlier version" in caplog.text
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert any(SECRET.encode() in data for data in published(first)[0].values())
    with ImageStore(workspace.images_dir) as store:
        normalise_store(store)
    caplog.clear()
    second = make(workspace, "0.2.0")
    assert not caplog.text
    images, provenance = published(second)
    for name, data in images.items():
        assert hashlib.sha256(data).hexdigest() == name
        assert SECRET.encode() not in data
    named = {image["sha256"] for row in provenance.values() for image in row["images"]}
    assert named == set(images)
    assert any(
        image["original_format"] == "JPEG" for r in provenance.values() for image in r["images"]
    )
    assert set(provenance) == set(published(first)[1]), "the same rows"
    assert rejected.id not in provenance and edited.id in provenance
    assert read_manifest(second).reviews.num_edited == 1  # pyright: ignore[reportOptionalMemberAccess]
    assert {path: path.read_bytes() for path in before} == before


def test_reviews_of_old_and_new_bytes_count_together(workspace) -> None:
    """Two reviewers are needed: one saw the row before the images were brought over."""
    from builder.config import load_config

    config = load_config(workspace.config_path)
    config.release.min_reviews_to_reject = 2
    save_config(config, workspace.config_path)
    row = next(row for row in kept_samples(workspace) if row.query_image)
    with ImageStore(workspace.images_dir) as store:
        normalise_store(store)
        renamed = row.model_copy(
            update={
                "query_image": store.record(row.query_image).sha256,
                "positive_image": row.positive_image and store.record(row.positive_image).sha256,
                "negative_images": tuple(
                    name and store.record(name).sha256 for name in row.negative_images
                ),
            }
        )
    first = review(row, 1, verdict="reject", reasons=["other"])
    save_reviews(workspace, [first])
    assert row.id in published(make(workspace, "0.1.0"))[1]
    other = review(renamed, 2, verdict="reject", reasons=["other"], reviewer="eve")
    save_reviews(workspace, [first, other])
    assert row.id not in published(make(workspace, "0.2.0"))[1]


def test_published_images_are_restored_under_their_names(tmp_path) -> None:
    """As `pull` does, also with pictures that today would be refused."""
    blank = io.BytesIO()
    Image.new("RGB", (64, 64), "tan").save(blank, "PNG")
    facts = {"group": "g", "licence": "MIT", "source": "s"}
    with ImageStore(tmp_path / "images") as store:
        record = store.restore(photo(1, 6), **facts)
        assert record.name == hashlib.sha256(photo(1, 6)).hexdigest() != record.sha256
        assert SECRET.encode() not in store.read(record.name).data
        assert store.published_names([record.name]) == {record.name: record.sha256}
        assert store.former_names([record.sha256]) == {record.sha256: [record.name]}
        assert store.restore(blank.getvalue(), **facts).format == "PNG"
        with pytest.raises(ImageStoreError, match="cannot be decoded"):
            store.restore(b"no image", **facts)


def test_what_is_sent_from_an_old_store_is_normal_too(tmp_path) -> None:
    """Case build/08, before the store was brought over."""
    import base64

    turned, plain = photo(1, 6), encode_noise(3)
    names = old_store(tmp_path / "images", [turned, plain])
    with ImageStore(tmp_path / "images") as store:
        sent = base64.b64decode(store.data_url(names[0], 1024).partition(",")[2])
        with Image.open(io.BytesIO(sent)) as image:
            assert image.size == (64, 96) and not image.getexif()
        assert base64.b64decode(store.data_url(names[1], 1024).partition(",")[2]) == plain
