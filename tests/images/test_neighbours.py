"""Neighbours lie in the window, in the split, in other groups, and come out the same each time."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from builder.config import ImagesConfig
from builder.images import neighbours as neighbours_module
from builder.images.descriptor import DescriptorEmbedder
from builder.images.embedders import EmbedderError, VisionModelEmbedder, load_embedder
from builder.images.index import ImageIndex, index_images
from builder.images.neighbours import find_neighbours, find_siblings, neighbours_of
from builder.images.split import split_of
from builder.images.vectors import QUANTUM, embed_images


def make_index(groups: list[int], is_validation: list[bool] | None = None) -> ImageIndex:
    count = len(groups)
    return ImageIndex(
        tuple(f"{number:064x}" for number in range(count)),
        np.array(groups, dtype=np.int32),
        np.array(is_validation or [False] * count),
        np.zeros(count, dtype=np.int32),
        (None,),
        96.0,
        64.0,
        "digest",
    )


def random_vectors(count: int, size: int = 24) -> np.ndarray:
    random = np.random.default_rng(0)
    centres = random.normal(size=(7, size))
    vectors = centres[random.integers(0, 7, count)] + 0.7 * random.normal(size=(count, size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.rint(vectors * QUANTUM).astype(np.int16)


def naive(vectors, index, window, num, *, siblings=False):
    exact = vectors.astype(np.int64)
    rows = []
    for row in range(len(vectors)):
        found = []
        for other in range(len(vectors)):
            same_group = index.group_N[row] == index.group_N[other]
            if other == row or same_group != siblings:
                continue
            if index.is_validation_N[row] != index.is_validation_N[other]:
                continue
            cosine = int(exact[row] @ exact[other]) / QUANTUM**2
            if window[0] <= cosine <= window[1]:
                found.append((-cosine, other))
        names = [other for _, other in sorted(found)[:num]]
        rows.append(names + [-1] * (num - len(names)))
    return np.array(rows)


@pytest.mark.parametrize("block_rows", [3, 64, 1000])
def test_blockwise_search_equals_the_naive_one(monkeypatch, block_rows):
    monkeypatch.setattr(neighbours_module, "_BLOCK_ROWS", block_rows)
    random = np.random.default_rng(1)
    index = make_index(
        list(random.integers(0, 40, 150)), [bool(bit) for bit in random.integers(0, 2, 150)]
    )
    # Groups never cross the split.
    index.is_validation_N[:] = index.group_N % 3 == 0
    vectors = random_vectors(150)
    window = (0.5, 0.62)
    expected = naive(vectors, index, window, 8)
    assert (find_neighbours(vectors, index, window, 8) == expected).all()
    assert (expected >= 0).any()
    assert (expected < 0).any()
    siblings = naive(vectors, index, (-1.0, 0.8), 4, siblings=True)
    assert (find_siblings(vectors, index, 0.8) == siblings).all()


def test_large_corpora_are_looked_up_in_an_index(monkeypatch, tmp_path):
    vectors = random_vectors(3_000)
    index = make_index([number // 2 for number in range(3_000)])
    exact = find_neighbours(vectors, index, (-1.0, 0.9), 5)
    monkeypatch.setattr(neighbours_module, "_MAX_EXACT", 100)
    monkeypatch.setattr("builder.images.vector_index._VECTORS_PER_CELL", 20)
    monkeypatch.setattr("builder.images.vector_index._CELLS_PROBED", 8)
    found = find_neighbours(vectors, index, (-1.0, 0.9), 5, tmp_path)
    same = [np.isin(one, other).mean() for one, other in zip(exact, found, strict=True)]
    assert 0.8 < np.mean(same) < 1.0  # most of the same, though one cell in twenty is looked at
    assert (found == find_neighbours(vectors, index, (-1.0, 0.9), 5)).all()
    assert (index.group_N[found] != index.group_N[:, None]).all()
    assert not list(tmp_path.iterdir())


def test_a_window_in_a_large_corpus_is_the_same_as_in_a_small_one(monkeypatch):
    vectors = random_vectors(400)
    index = make_index(list(range(400)))
    exact = find_neighbours(vectors, index, (0.3, 0.6), 40)
    monkeypatch.setattr(neighbours_module, "_MAX_EXACT", 100)
    monkeypatch.setattr(neighbours_module, "_SPARE", 10)
    assert (find_neighbours(vectors, index, (0.3, 0.6), 40) == exact).all()


def test_empty_and_single_corpora_have_no_neighbours():
    for count in (0, 1):
        found = find_neighbours(random_vectors(count), make_index(list(range(count))), (0, 1), 3)
        assert found.shape == (count, 3)
        assert (found == -1).all()


def test_descriptor_puts_look_alikes_near_and_copies_nearest(noise):
    def opened(data: bytes) -> Image.Image:
        image = Image.open(BytesIO(data))
        image.load()
        return image

    original = opened(noise(1, "PNG", (200, 160)))
    copy = opened(noise(1, "JPEG", (200, 160))).resize((100, 80))
    other = opened(noise(2, "PNG", (200, 160)))
    vectors = DescriptorEmbedder().embed([original, copy, other])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.98
    assert vectors[0] @ vectors[2] < 0.8


def test_descriptor_takes_blank_and_odd_images():
    images = [Image.new(mode, (40, 33)) for mode in ("1", "L", "RGBA", "P", "CMYK", "I;16")]
    vectors = DescriptorEmbedder().embed(images)
    assert np.isfinite(vectors).all()


def test_embeddings_are_computed_once_each(store, noise):
    class Counting(DescriptorEmbedder):
        num_images = 0

        def embed(self, images):
            self.num_images += len(images)
            return super().embed(images)

    embedder = Counting()
    first = sorted(store.add(noise(seed)).sha256 for seed in range(5))
    before = embed_images(store, first, embedder)
    store.add(noise(9))
    names = index_images(store, 0.1).sha256
    after = embed_images(store, names, embedder)
    assert embedder.num_images == 6
    rows = [names.index(name) for name in first]
    assert (after[rows] == before).all()


def test_neighbours_are_kept_and_found_anew_when_damaged(store, noise):
    for seed in range(30):
        store.add(noise(seed))
    index = index_images(store, 0.0)
    config = ImagesConfig(embedder="descriptor", num_neighbours=5)
    first = neighbours_of(store, index, config)
    saved = list((store.directory / "neighbours").glob("*.npz"))
    assert len(saved) == 1
    saved[0].write_bytes(b"damaged")
    second = neighbours_of(store, index, config)
    assert (first.of_NK == second.of_NK).all()
    neighbours_of(store, index, ImagesConfig(embedder="descriptor", num_neighbours=6))
    assert len(list((store.directory / "neighbours").glob("*.npz"))) == 2


def test_near_duplicates_are_told(store, noise):
    seeds = {}
    for seed in range(3):
        for format in ("PNG", "WEBP"):
            record = store.add(noise(seed, format), group=f"{format} {seed}")
            seeds[record.sha256] = seed
    index = index_images(store, 0.0)
    found = neighbours_of(store, index, ImagesConfig(embedder="descriptor", window=(-1, 0.97)))
    first, second = (pairs.ravel() for pairs in np.meshgrid(np.arange(6), np.arange(6)))
    told = found.are_near_duplicates(first, second)
    seed_of = np.array([seeds[name] for name in index.sha256])
    assert (told == (seed_of[first] == seed_of[second])).all()


def test_a_window_up_to_one_leaves_none_out_whatever_rounding_does():
    vectors = np.repeat(random_vectors(400), 2, axis=0)
    beyond = (vectors.astype(np.int64) ** 2).sum(axis=1) > QUANTUM**2
    assert 0 < beyond.sum() < 800
    index = make_index(list(range(800)))
    twin = np.arange(800) ^ 1
    assert (find_neighbours(vectors, index, (-1, 1), 1)[:, 0] == twin).all()
    found = neighbours_module.Neighbours(twin[:, None], twin[:, None], vectors, (-1.0, 1.0))
    assert not found.are_near_duplicates(np.arange(800), twin).any()
    near = find_neighbours(vectors, index, (-1, 0.97), 1)[:, 0]
    assert not (near == twin).any()


def test_split_is_by_group_and_only_grows():
    groups = [f"group {number}" for number in range(4000)]
    small = {group for group in groups if split_of(group, 0.1) == "validation"}
    large = {group for group in groups if split_of(group, 0.25) == "validation"}
    assert small < large
    assert len(small) / 4000 == pytest.approx(0.1, abs=0.02)
    assert not any(split_of(group, 0.0) == "validation" for group in groups)


def test_index_digest_changes_with_the_images(store, noise):
    store.add(noise(1))
    first = index_images(store, 0.1).digest
    assert index_images(store, 0.1).digest == first
    assert index_images(store, 0.2).digest != first
    store.add(noise(2))
    assert index_images(store, 0.1).digest != first


@pytest.fixture(scope="module")
def tiny_vision_model(tmp_path_factory):
    """A two-layer vision transformer with random weights, saved as a user would have it."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    directory = tmp_path_factory.mktemp("tiny-vit")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.ViTModel(config).save_pretrained(directory)
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(directory)
    return directory


def test_a_saved_vision_model_embeds_images(tiny_vision_model, store, noise):
    for seed in range(4):
        store.add(noise(seed))
    index = index_images(store, 0.0)
    config = ImagesConfig(embedder=str(tiny_vision_model), window=(-1, 1), num_neighbours=3)
    found = neighbours_of(store, index, config)
    assert found.vectors_ND.shape == (4, 16)
    assert (found.of_NK >= 0).all()
    assert isinstance(load_embedder(str(tiny_vision_model), store), VisionModelEmbedder)


def test_other_weights_at_the_same_path_are_another_embedder(tiny_vision_model):
    first = VisionModelEmbedder(str(tiny_vision_model)).name
    assert VisionModelEmbedder(str(tiny_vision_model)).name == first
    weights = tiny_vision_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert VisionModelEmbedder(str(tiny_vision_model)).name != first


def test_a_missing_vision_model_is_one_clear_error(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(EmbedderError, match="descriptor"):
        VisionModelEmbedder(str(tmp_path / "none"))
