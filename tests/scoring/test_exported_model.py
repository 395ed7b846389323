"""A model that our own trainer exported, as scorer: its vectors in any batch, plain and joint."""

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from builder.scoring.models import ScorerError, load_scorer
from tests.trainer.releases import write_shapes
from trainer.config import ModelConfig, TrainConfig
from trainer.data.corpus import load_corpus
from trainer.encoders.dual import DualEncoder
from trainer.encoders.ngram import make_ngram_encoder
from trainer.export.export import export
from trainer.export.probe import take_probe
from trainer.train import train

TEXTS = [f"{'a red circle ' * (number % 7 + 1)}{number}" for number in range(100)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    release = write_shapes(tmp_path_factory.mktemp("shapes"))
    corpus = load_corpus(str(release), "train")
    settings = ModelConfig(name="ngram", embedding_dim=16)
    config = TrainConfig(dataset=str(release), model=settings, num_steps=2, batch_size=16)
    encoder = make_ngram_encoder(settings)
    probe = take_probe(encoder, corpus.rows, corpus.images)
    output = tmp_path_factory.mktemp("run") / "model"
    result = train(config, corpus, encoder, output=output)
    export(
        encoder, output, result=result, version=corpus.version, probe=probe, load=DualEncoder.load
    )
    return output


def test_texts_have_the_vectors_that_sentence_transformers_gives_in_their_order(
    model: Path,
) -> None:
    found = load_scorer(str(model), trusts_code=True).embed_texts(TEXTS)
    encoded = SentenceTransformer(str(model), trust_remote_code=True).encode(TEXTS)
    expected = np.asarray(encoded) / np.linalg.norm(encoded, axis=1, keepdims=True)
    np.testing.assert_allclose(found.joint_BD, expected, atol=1e-5)
    assert found.plain_BF.shape[0] == len(TEXTS) and found.plain_BF.shape[1] != 16
    assert len(np.unique(found.plain_BF.round(5), axis=0)) == len(TEXTS)


def test_its_code_runs_only_where_it_is_trusted(model: Path) -> None:
    with pytest.raises(ScorerError, match="add --trust-code"):
        load_scorer(str(model))
