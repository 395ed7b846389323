from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.compare import student_interval  # noqa: E402
from trainer.config import DatasetConfig, EvaluateConfig, TrainConfig  # noqa: E402
from trainer.corpus import Corpus, load_corpus  # noqa: E402
from trainer.encoders.choice import make_towers  # noqa: E402
from trainer.encoders.dual import DualEncoder  # noqa: E402
from trainer.encoders.tower import Towers  # noqa: E402
from trainer.errors import NoRowsError  # noqa: E402
from trainer.evaluate import bootstrap_means, describe, measure  # noqa: E402
from trainer.export import load_encoder, save_encoder  # noqa: E402
from trainer.feature_cache import FeatureCache  # noqa: E402
from trainer.features import compute_features  # noqa: E402
from trainer.item_features import ItemFeatures, compute_item_features  # noqa: E402
from trainer.pairs import images_of, texts_of  # noqa: E402
from trainer.questions import make_questions  # noqa: E402
from trainer.train import select_pairs, train  # noqa: E402


def _config(release: Path, **settings: object) -> TrainConfig:
    values = {"dataset": DatasetConfig(path=str(release)), "encoder": "ngram", "batch_size": 16}
    return TrainConfig.model_validate(values | {"num_steps": 60, "dropout": 0.0} | settings)


@pytest.fixture(scope="module")
def towers() -> Towers:
    return make_towers("ngram")


@pytest.fixture
def corpus(release: Path) -> Corpus:
    return load_corpus(str(release), None, "train")


def _features(config: TrainConfig, corpus: Corpus, towers: Towers) -> ItemFeatures:
    pairs = select_pairs(config, corpus)
    images = {sha256: corpus.images[sha256] for sha256 in images_of(pairs)}
    return compute_item_features(towers, texts_of(pairs), images)


def _train(config: TrainConfig, corpus: Corpus, towers: Towers) -> DualEncoder:
    pairs = select_pairs(config, corpus)
    return train(config, corpus, pairs, _features(config, corpus, towers))


def test_eight_rows_overfit_to_recall_at_1_of_1(
    release: Path, corpus: Corpus, towers: Towers
) -> None:
    config = _config(release, languages=("en",), modalities=("T->I",))
    pairs = select_pairs(config, corpus)
    assert len(pairs) == 8
    features = _features(config, corpus, towers)
    model = train(config, corpus, pairs, features)
    english = [row for row in corpus.rows if row.language == "en"]
    plain = {pair.positive for pair in pairs}
    shown = Corpus("eight", "train", english, {s: corpus.images[s] for s in plain}, corpus.groups)
    measurement = measure(model, features, make_questions(shown, 300, 0), 1)
    assert measurement.mean_recall == 1.0


def test_the_same_seed_gives_the_same_weights(
    release: Path, corpus: Corpus, towers: Towers
) -> None:
    config = _config(release, num_steps=8, dropout=0.2)
    first, again = (_train(config, corpus, towers).state_dict() for _ in range(2))
    other = _train(config.model_copy(update={"seed": 1}), corpus, towers).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["text.linear.weight"], other["text.linear.weight"])


def test_a_saved_encoder_loads_with_the_same_embeddings(
    release: Path, corpus: Corpus, towers: Towers, tmp_path: Path
) -> None:
    config = _config(release, num_steps=5)
    features = _features(config, corpus, towers)
    model = _train(config, corpus, towers)
    save_encoder(model, towers, config, 32, tmp_path)
    loaded = load_encoder(tmp_path)
    texts = list(features.text_index)
    with torch.inference_mode():
        expected = model.text(features.text_TF).numpy()
    np.testing.assert_allclose(loaded.embed_texts(texts), expected, rtol=1e-5, atol=1e-6)
    images = loaded.embed_images([corpus.images[sha256] for sha256 in features.image_index])
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1.0, rtol=1e-5)
    assert TrainConfig.model_validate_json((tmp_path / "config.json").read_text()) == config


def test_training_beats_no_training_on_held_out_concepts(
    release: Path, corpus: Corpus, towers: Towers
) -> None:
    held_out = load_corpus(str(release), None, "validation")
    config = _config(release)
    pairs, questions = select_pairs(config, corpus), make_questions(held_out, 300, 0)
    assert not set(corpus.groups.values()) & set(held_out.groups.values())
    texts = [*texts_of(pairs), *(question.text for question in questions.questions)]
    features = compute_item_features(towers, texts, {**corpus.images, **held_out.images})
    untrained = measure(
        train(config.model_copy(update={"num_steps": 0}), corpus, pairs, features),
        features,
        questions,
        1,
    )
    trained = measure(train(config, corpus, pairs, features), features, questions, 1)
    assert trained.mean_recall > untrained.mean_recall
    report = describe(trained, questions, EvaluateConfig(k=1, num_resamples=50))
    assert report["chance"] == 0.25 and set(report["per_language"]) == {"de", "en"}
    assert report["interval"][0] <= report["mean"] <= report["interval"][1]


def test_a_language_without_rows_is_named_with_those_that_have_some(
    release: Path, corpus: Corpus
) -> None:
    with pytest.raises(NoRowsError, match=r"no row for this in fr\. It has de, en; change --lang"):
        select_pairs(_config(release, languages=("fr",)), corpus)


def test_cached_features_are_not_computed_again(tmp_path: Path) -> None:
    class Counting:
        name, dim, batch_size, is_slow = "counting", 2, 2, True
        num_items = 0

        def features(self, items):
            self.num_items += len(items)
            return np.array([[len(item), 1] for item in items], dtype=np.float32)

    tower, cache = Counting(), FeatureCache(tmp_path)
    first = compute_features(tower, ["k1", "k2", "k3"], ["ccc", "a", "bb"], cache)
    again = compute_features(tower, ["k3", "k4", "k1"], ["bb", "dddd", "ccc"], cache)
    assert tower.num_items == 4
    assert first[:, 0].tolist() == [3, 1, 2] and again[:, 0].tolist() == [2, 4, 3]


def test_the_bootstrap_resamples_concepts_and_not_questions() -> None:
    hits, questions = np.array([[9.0, 0.0]]), np.array([[9.0, 1.0]])
    means = bootstrap_means(hits, questions, 400)
    assert sorted(set(means.round(6))) == [0.0, 0.9, 1.0]
    assert (means == 0).mean() == pytest.approx(0.25, abs=0.08)


def test_the_seed_interval_is_students_t() -> None:
    low, high = student_interval([0.1, 0.2, 0.3])
    assert (low + high) / 2 == pytest.approx(0.2)
    assert high - low == pytest.approx(2 * 4.303 * 0.1 / 3**0.5)
