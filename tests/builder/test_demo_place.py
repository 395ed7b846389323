"""The directory a demo runs in, and what it finds there."""

from pathlib import Path

import builder.demo
from builder.config import load_config
from builder.demo.setting import RECIPE


def test_the_recipe_comes_with_the_package() -> None:
    assert RECIPE.is_relative_to(Path(builder.demo.__file__).parent)
    assert load_config(RECIPE).name == "pictograms"
