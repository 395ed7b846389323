"""Short questions about a picture in each of the 93 languages, written by hand.

`what` and `shows` ask for the name, `word` for a word that fits. They are not checked by a native
speaker in every language; corrections go into `questions.json`.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Literal

QuestionKind = Literal["what", "shows", "word"]


@cache
def load_questions() -> dict[str, dict[QuestionKind, str]]:
    """Language code to the questions in it."""
    content = files(__package__ or __name__).joinpath("questions.json").read_text("utf-8")
    return json.loads(content)
