"""A model trained on coloured shapes and exported once; tests that change it take a copy."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.trainer.releases import write_shapes
from trainer.config import ModelConfig, TrainConfig
from trainer.data.corpus import Corpus, load_corpus
from trainer.encoders.dual import DualEncoder
from trainer.encoders.ngram import make_ngram_encoder
from trainer.export.export import export
from trainer.export.probe import Probe, take_probe
from trainer.train import TrainResult, train


@dataclass(frozen=True)
class Run:
    """A finished run: what was trained, and everything an export needs."""

    corpus: Corpus
    encoder: DualEncoder
    probe: Probe
    result: TrainResult
    output: Path

    def export(self, directory: Path, **options: object) -> Path:
        settings = {"load": DualEncoder.load, **options}
        export(
            self.encoder,
            directory,
            result=self.result,
            version=self.corpus.version,
            probe=self.probe,
            **settings,  # pyright: ignore[reportArgumentType]
        )
        return directory


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Heads over n-grams, a few steps on coloured shapes, exported beside its log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        release = write_shapes(tmp_path_factory.mktemp("shapes"))
        corpus = load_corpus(str(release), "train")
        config = TrainConfig(
            dataset=str(release),
            model=ModelConfig(name="ngram", embedding_dim=16),
            num_steps=6,
            batch_size=16,
            learning_rate=1e-2,
        )
        encoder = make_ngram_encoder(config.model)
        probe = take_probe(encoder, corpus.rows, corpus.images)
        output = tmp_path_factory.mktemp("run") / "model"
        result = train(config, corpus, encoder, output=output)
        run = Run(corpus, encoder, probe, result, output)
        run.export(output)
        yield run


@pytest.fixture
def exported(run: Run, tmp_path: Path) -> Path:
    """A copy of the exported model that a test may change."""
    return shutil.copytree(run.output, tmp_path / "model")
