"""Tiny base models that the tests of encoders share; nothing may write to them."""

from pathlib import Path

import pytest

from tests.trainer.tiny_models import FAMILY_NAMES, save_tiny_model


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tiny model of each family, under the family's name."""
    root = tmp_path_factory.mktemp("bases")
    for family in FAMILY_NAMES:
        save_tiny_model(family, root / family)
    return root
