"""The offline teacher: an OpenAI-compatible server that composes replies from a lexicon, no LLM.

It recognises the bundled pictograms and writes with human-made CLDR names and keywords; its
scores are drawn, and at small stated rates it makes mistakes on purpose.
"""

from builder.images.pictograms import languages_of
from builder.lexicon_teacher.mistakes import MistakeRates, read_planted
from builder.lexicon_teacher.server import running_teacher, serve
from builder.lexicon_teacher.teacher import MODEL, LexiconTeacher

__all__ = [
    "MODEL",
    "LexiconTeacher",
    "MistakeRates",
    "languages_of",
    "read_planted",
    "running_teacher",
    "serve",
]
