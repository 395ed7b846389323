"""Sources added by workers: the same store as one process makes, whatever happens to workers."""

import io
import os
import signal
import tarfile
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builder.config import ImagesConfig
from builder.engines import EngineError, LocalEngine
from builder.images.adding import AddSummary, add_images
from builder.images.sources import open_source
from builder.images.staging import ReadOptions, StagedSource, add_staged, listing, open_units
from builder.images.staging.look import look
from builder.images.store import ImageStore

LIMITS = ImagesConfig()
OPTIONS = ReadOptions(LIMITS)


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr(listing, "FILES_PER_UNIT", 8)


def state(store: ImageStore) -> tuple:
    """Everything a store knows, and its images' bytes."""
    records = [*store.records()]
    return records, [store.read(record.name).data for record in records], store.refused()


def added_here(source: Path, directory: Path) -> tuple[AddSummary, tuple]:
    """What one process makes of a source."""
    with ImageStore(directory) as store:
        files = open_source(str(source), LIMITS.max_image_bytes).files
        summary = add_images(store, files, licence="CC0-1.0", source="mine")
        return summary, state(store)


def add(store, name, engine, kind="folder", **more):
    units = open_units(str(name), kind)
    assert units is not None
    return add_staged(store, units, engine, OPTIONS, licence="CC0-1.0", origin="mine", **more)


@pytest.fixture
def containers(tmp_path, make_picture) -> Path:
    """Two tars, the second cut off, and a Parquet file."""
    root = tmp_path / "tars"
    root.mkdir()
    for number in range(2):
        with tarfile.open(root / f"{number:05}.tar", "w") as tar:
            for key in range(6):
                for suffix, data in (
                    ("jpg", make_picture(40 + number * 6 + key, "JPEG")),
                    ("txt", f"caption {key}".encode()),
                ):
                    member = tarfile.TarInfo(f"{key:04}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    cut = root / "00001.tar"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    tables = tmp_path / "tables"
    tables.mkdir()
    pictures = [make_picture(number, "PNG") for number in range(50, 55)]
    table = pa.table({"image": pictures, "caption": [f"c{n}" for n in range(5)]})
    pq.write_table(table, tables / "a.parquet")
    return tmp_path


def test_workers_make_the_same_store_and_do_nothing_twice(ray_engine, photos, tmp_path):
    expected, contents = added_here(photos, tmp_path / "alone")
    for workers, engine in (("ray", ray_engine), ("one", LocalEngine(1)), ("four", LocalEngine(4))):
        with ImageStore(tmp_path / workers) as store:
            first = add(store, photos, engine)
            assert first.files == expected
            assert (first.num_units, first.num_resumed) == (4, 0)
            assert state(store) == contents
            again = add(store, photos, engine)
            assert (again.num_units, again.num_resumed) == (4, 4)
            assert again.files.num_present == expected.num_added + expected.num_present
            assert again.rates.line("files") is None
            assert state(store) == contents
    assert "files" in first.line("local")


DEADLY = "02/014.webp"


def check_deadly(store: ImageStore, photos: Path, tmp_path: Path) -> None:
    """The store lacks the deadly file alone, and says why."""
    _, (records, _, refused) = added_here(photos, tmp_path / "alone")
    left = {record.source for record in records} - {f"mine/{DEADLY}"}
    assert {record.source for record in store.records()} == left
    ((name, reason, what),) = set(store.refused()) - set(refused)
    assert (name, reason) == (DEADLY, "worker_crashed")
    assert what == "a worker died each time it read this file (its process ended)"


def test_a_killed_worker_and_a_deadly_file_cost_that_file_only(ray_engine, photos, tmp_path):
    mark = tmp_path / "killed"

    def look_or_die(job, unit):
        if DEADLY in unit.paths or ("00/000.jpeg" in unit.paths and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return look(job, unit)

    source = open_units(str(photos), "folder")
    assert source is not None
    units = []
    for unit in source.units:  # the deadly file stands alone; the search for it is tested below
        parts = [replace(unit, paths=(path,)) for path in unit.paths]
        units += parts if DEADLY in unit.paths else [unit]
    with ImageStore(tmp_path / "ray") as store:
        summary = add_staged(
            store,
            StagedSource("folder", iter(units)),
            ray_engine,
            OPTIONS,
            licence="CC0-1.0",
            origin="mine",
            look_at=look_or_die,
        )
        assert summary.num_deaths == 3
        check_deadly(store, photos, tmp_path)


def test_a_deadly_file_is_searched_for_once(dying_threads, photos, tmp_path):
    def look_or_die(job, unit):
        if DEADLY in unit.paths:
            raise SystemExit
        return look(job, unit)

    with dying_threads(2) as engine, ImageStore(tmp_path / "store") as store:
        first = add(store, photos, engine, look_at=look_or_die)
        assert first.num_deaths == 8  # twice each: 8 files, 4, 2, 1
        check_deadly(store, photos, tmp_path)
        again = add(store, photos, engine, look_at=look_or_die)
        assert (again.num_deaths, again.num_resumed) == (0, again.num_units)
        assert again.files.refused["worker_crashed"] == 1
        assert "workers died 8 times" in first.line("ray")


@pytest.mark.parametrize(("kind", "folder"), [("webdataset", "tars"), ("parquet", "tables")])
def test_containers_give_the_same_store_and_name_their_damage(containers, tmp_path, kind, folder):
    expected, contents = added_here(containers / folder, tmp_path / "alone")
    with LocalEngine(2) as engine, ImageStore(tmp_path / "staged") as store:
        summary = add(store, containers / folder, engine, kind)
        assert state(store) == contents
        assert summary.files.num_added == expected.num_added > 0
        assert (summary.files.broken is None) == (expected.broken is None)
        if expected.broken:
            assert "00001.tar" in str(summary.files.broken)
            assert add(store, containers / folder, engine, kind).num_resumed == 1  # read again


def test_halves_of_a_container_are_what_the_whole_is(containers):
    for kind, folder in (("webdataset", "tars"), ("parquet", "tables")):
        source = open_units(str(containers / folder), kind)
        assert source is not None
        for unit in source.units:
            parts, whole = [unit], names(unit)
            while len(parts) < len(whole):
                parts = [half for part in parts for half in part.halves(OPTIONS) or [part]]
                assert [name for part in parts for name in names(part)] == whole
            assert not any(part.halves(OPTIONS) for part in parts)


def names(unit) -> list[str]:
    found = []
    try:
        for entry in unit.entries(OPTIONS):
            found.append(entry.name)
    except Exception:  # damage at the end
        pass
    return found


@pytest.mark.parametrize("folder", ["photos", "tars", "tables"])
def test_an_address_gives_what_the_folder_gives(containers, photos, tmp_path, folder):
    source = photos if folder == "photos" else containers / folder
    _, contents = added_here(source, tmp_path / "alone")
    memory = fsspec.filesystem("memory")
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            target = f"/{tmp_path.name}/{folder}/{path.relative_to(source).as_posix()}"
            memory.pipe_file(target, path.read_bytes())
    address = f"memory://{tmp_path.name}"
    with LocalEngine(2) as engine, ImageStore(tmp_path / "staged") as store:
        add(store, f"{address}/{folder}", engine, None, staging=f"{address}/staging")
        records, data, _ = state(store)
        assert (records, data) == contents[:2]
        assert len(memory.ls(f"/{tmp_path.name}/staging")) >= 1
        assert not (store.directory / "staging").exists()


def test_images_pass_through_shards_where_workers_do_not_see_the_store(photos, tmp_path):
    expected, contents = added_here(photos, tmp_path / "alone")

    def blind_look(job, unit):
        return look(type(job)(job.staging, "/nowhere", job.token, job.options), unit)

    with LocalEngine(2) as engine, ImageStore(tmp_path / "staged") as store:
        summary = add(store, photos, engine, look_at=blind_look)
        assert summary.files == expected
        assert state(store) == contents


def test_changed_files_are_looked_at_again(photos, tmp_path, make_picture):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.png").write_bytes(make_picture(number, "PNG"))
    with LocalEngine(2) as engine, ImageStore(tmp_path / "store") as store:
        add(store, folder, engine)
        (folder / "3.png").write_bytes(make_picture(99, "PNG") + b"\0")
        again = add(store, folder, engine)
        assert (again.num_units, again.num_resumed, again.files.num_added) == (2, 1, 1)


def test_a_limit_stops_where_one_process_stops(photos, tmp_path):
    with LocalEngine(2) as engine, ImageStore(tmp_path / "store") as store:
        summary = add(store, photos, engine, limit=11)
        assert summary.files.num_seen == 11
        assert summary.num_units == 2


def test_shards_count_as_done_only_while_their_images_are_there(photos, tmp_path):
    shards = str(tmp_path / "shards")
    with LocalEngine(1) as engine:
        with ImageStore(tmp_path / "first") as store:
            add(store, photos, engine, staging=shards)
            contents = state(store)
            store.path_of(next(store.records()).name).unlink()
            again = add(store, photos, engine, staging=shards)
            assert again.num_resumed == again.num_units - 1
            assert state(store) == contents
        with ImageStore(tmp_path / "other") as store:  # the shards name files of the first
            assert add(store, photos, engine, staging=shards).num_resumed == 0
            assert state(store) == contents


def test_a_folder_out_of_reach_is_an_error_and_no_refusal(photos, tmp_path):
    source = open_units(str(photos), "folder")
    assert source is not None
    units = [type(unit)("folder", "/not/mounted/here", unit.paths) for unit in source.units]
    with LocalEngine(1) as engine, ImageStore(tmp_path / "store") as store:
        with pytest.raises(EngineError, match="a worker cannot see this folder"):
            add_staged(store, StagedSource("folder", iter(units)), engine, OPTIONS)
        assert store.refused() == []
