"""Held-out text queries and the concepts they have to find, from a validation split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.corpus import Corpus, Row
from trainer.errors import NoRowsError
from trainer.pairs import DIRECTION_OF

# Q questions, N candidates


@dataclass(frozen=True, slots=True)
class Question:
    """A text in a language; candidates of these groups are right."""

    language: str
    text: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions over one set of candidates.

    Args:
        questions: Each has a correct candidate; no (language, text) twice.
        candidate_groups: Group of every candidate, one candidate a group.
        candidate_images: sha256 of the image that stands for the group.
        has_groups: False where the version has no `provenance`, so that every
            image counts as a concept of its own.
    """

    questions: tuple[Question, ...]
    candidate_groups: tuple[str, ...]
    candidate_images: tuple[str, ...]
    has_groups: bool

    @property
    def correct_QN(self) -> NDArray[np.bool_]:
        """True where a candidate answers a question."""
        column = {group: index for index, group in enumerate(self.candidate_groups)}
        correct_QN = np.zeros((len(self.questions), len(column)), dtype=bool)
        for row, question in enumerate(self.questions):
            correct_QN[row, [column[group] for group in question.groups]] = True
        return correct_QN

    @property
    def languages(self) -> list[str]:
        return sorted({question.language for question in self.questions})


def make_questions(corpus: Corpus, num_candidates: int, seed: int) -> QuestionSet:
    """Questions from the rows of a split that pair a text with an image.

    A text-to-image row asks with its query, an image-to-text row with its
    positive. Candidates are a seeded sample of the groups asked for, one image
    each, drawn among the group's images. Rows of a language with equal text
    are one question with several right answers.

    Raises:
        NoRowsError: The split has no such row.
    """
    asked: dict[tuple[str, str], set[str]] = {}
    for row in corpus.rows:
        text, image = _paired(row)
        if text is not None and image is not None:
            asked.setdefault((row.language, text), set()).add(corpus.group_of(image))
    if not asked:
        raise NoRowsError(corpus.dataset, corpus.split, None, [])
    images: dict[str, list[str]] = {}
    for image in sorted(corpus.images):
        images.setdefault(corpus.group_of(image), []).append(image)
    generator = np.random.default_rng(seed)
    every_group = sorted(set().union(*asked.values()))
    num_sampled = min(num_candidates, len(every_group))
    sampled = sorted(generator.choice(every_group, num_sampled, replace=False).tolist())
    shown = [images[group][int(generator.integers(len(images[group])))] for group in sampled]
    kept = set(sampled)
    questions = [
        Question(language, text, frozenset(groups & kept))
        for (language, text), groups in sorted(asked.items())
        if groups & kept
    ]
    return QuestionSet(tuple(questions), tuple(sampled), tuple(shown), bool(corpus.groups))


def _paired(row: Row) -> tuple[str | None, str | None]:
    """The text of a row and the image it speaks of; nulls where it pairs none."""
    match DIRECTION_OF.get(row.modality):
        case "text_to_image":
            return row.query_text, row.positive_image
        case "image_to_text":
            return row.positive_text, row.query_image
        case _:
            return None, None
