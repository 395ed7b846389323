"""Embedding, hashing, neighbours and the commands run on Ray, and find what one process finds."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from builder.commands.images import register
from builder.config import ImagesConfig
from builder.engines import EngineError, LocalEngine
from builder.engines.ray_engine import _check_answers
from builder.images import neighbours
from builder.images.copies import join_copies
from builder.images.descriptor import DescriptorEmbedder
from builder.images.index import index_images
from builder.images.neighbours import find_neighbours, neighbours_of
from builder.images.store import ImageStore
from builder.images.vectors import embed_images, vectors_directory
from builder.images.worker_vectors import hash_looks_with
from command_line.extras import MissingExtraError

CONFIG = ImagesConfig(embedder="descriptor", num_neighbours=3)


@pytest.fixture
def store(photos, tmp_path):
    with ImageStore(tmp_path / "images") as opened:
        for path in sorted(photos.rglob("*.[jpw]*[gpn]*")):
            is_refused = path.is_symlink() or path.name in ("cut.jpg", "empty.png")
            if not is_refused and path.suffix != ".json":
                opened.add(path.read_bytes())
        yield opened


def test_vectors_and_looks_are_the_same_from_workers(ray_engine, store):
    index, embedder = index_images(store, 0.2), DescriptorEmbedder()
    directory = vectors_directory(store, embedder)
    here = embed_images(store, index.sha256, embedder)
    for path in directory.iterdir():
        path.unlink()
    there = embed_images(store, index.sha256, embedder, engine=ray_engine)
    assert np.array_equal(here, there)
    assert {path.suffix for path in directory.iterdir()} == {".npz"}
    num_before = ray_engine.num_deaths
    again = embed_images(store, index.sha256, embedder, engine=ray_engine)  # reads the parts
    assert np.array_equal(here, again)
    assert ray_engine.num_deaths == num_before
    with LocalEngine(2) as local:
        looks = hash_looks_with(local, store, index.sha256, None)
    assert hash_looks_with(ray_engine, store, index.sha256, None) == looks


@pytest.mark.parametrize("max_exact", [25_000, 100])
def test_neighbours_are_the_same_from_workers(ray_engine, monkeypatch, tmp_path, max_exact):
    monkeypatch.setattr(neighbours, "_MAX_EXACT", max_exact)
    monkeypatch.setattr(neighbours, "_CHUNK_ROWS", 256)
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(1_500, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors_ND = np.rint(vectors * 2048).astype(np.int16)
    index = neighbours.ImageIndex(
        tuple(map(str, range(1_500))),
        rng.integers(0, 700, 1_500, dtype=np.int32),
        rng.random(1_500) < 0.2,
        np.zeros(1_500, dtype=np.int32),
        (None,),
        0,
        0,
        "digest",
    )
    arguments = vectors_ND, index, (0.1, 0.9), 5, tmp_path
    here = find_neighbours(*arguments)
    assert (here[:, 0] >= 0).mean() > 0.9
    assert np.array_equal(find_neighbours(*arguments, ray_engine), here)
    assert list(tmp_path.iterdir()) == []


def test_an_index_out_of_reach_is_an_error(tmp_path):
    split = neighbours._Split(
        np.zeros((2, 4), np.int16),
        np.zeros(2, np.int32),
        np.arange(2),
        1,
        (0.1, 0.9),
        tmp_path / "absent.faiss",
    )
    with pytest.raises(EngineError, match="a worker cannot see this file"):
        neighbours._look_up(split, (0, 2))


def test_a_store_out_of_reach_is_an_error(store):
    name = next(store.records()).name
    store.path_of(name).unlink()
    with LocalEngine(1) as engine, pytest.raises(EngineError, match="a worker cannot see this"):
        hash_looks_with(engine, store, [name], None)


def run(*arguments) -> str:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["images", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands_run_on_ray(ray_engine, photos, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("images: {embedder: descriptor, num_neighbours: 3}")
    for engine in ("local", "ray"):
        shown = run("add", photos, "-w", tmp_path / engine, "-c", config, "--engine", engine)
        assert "29 seen, 25 added, 1 already there, 3 refused" in shown
        if engine == "ray":
            assert "ray: 1 worker: 29 files" in shown
        more = ("--sheet", tmp_path / f"{engine}.png", "-c", config, "--engine", engine)
        run("neighbours", "-w", tmp_path / engine, *more)
    assert (tmp_path / "ray.png").read_bytes() == (tmp_path / "local.png").read_bytes()
    again = run("add", photos, "-w", tmp_path / "ray", "-c", config, "--engine", "ray")
    assert "ray: no worker was needed; 1 of 1 parts were done before" in again
    pictograms = run("add", "pictograms", "-w", tmp_path / "ray", "--limit", 3, "--engine", "ray")
    assert "a source of kind pictograms is read and checked by this process" in pictograms
    with (
        ImageStore(tmp_path / "ray" / "images") as there,
        ImageStore(tmp_path / "local" / "images") as here,
    ):
        names = here.looks()
        assert names == {name: look for name, look in there.looks().items() if name in names}


def test_words_of_the_engine_are_checked(photos, tmp_path):
    app = typer.Typer()
    register(app)
    for words, said in (
        (("--engine", "dask"), "choose from local, ray"),
        (("--ray-address", "auto"), "only for --engine ray"),
        (("--staging", str(tmp_path)), "only for --engine ray and addresses"),
    ):
        arguments = ["images", "add", str(photos), "-w", str(tmp_path / "w"), *words]
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
        assert result.exit_code == 2
        assert said in result.output


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_where_nothing_listens_is_an_error_at_once(address):
    with pytest.raises(EngineError, match=f"no Ray cluster answers at {address}"):
        _check_answers(address)


def test_a_missing_ray_is_one_line_that_names_the_extra(monkeypatch):
    from builder.engines import open_engine

    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"ray .*pip install -e '\.\[ray\]'"):
        open_engine("ray")


def test_neighbours_of_a_store_are_kept_whoever_found_them(ray_engine, store):
    join_copies(store, CONFIG, engine=ray_engine)
    index = index_images(store, 0.2)
    there = neighbours_of(store, index, CONFIG, engine=ray_engine)
    here = neighbours_of(store, index, CONFIG)
    assert np.array_equal(there.of_NK, here.of_NK)
    assert len(list((store.directory / "neighbours").glob("*.npz"))) == 1
