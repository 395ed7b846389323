"""Held-out text queries and the concepts they have to find, from a validation split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.corpus import Corpus
from trainer.data.items import Item, Row
from trainer.evaluate.errors import NothingToMeasureError

# N candidates


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
        candidate_groups: Group of every candidate, one candidate per group.
        candidate_images: sha256 of the image that represents the group.
        has_groups: False where the version has no `provenance`, so that every
            image counts as a concept of its own.
    """

    questions: tuple[Question, ...]
    candidate_groups: tuple[str, ...]
    candidate_images: tuple[str, ...]
    has_groups: bool

    @property
    def queries(self) -> list[Item]:
        """The questions as items: texts as they are, without an instruction."""
        return [Item(text=question.text) for question in self.questions]

    @property
    def candidates(self) -> list[Item]:
        return [Item(image=image) for image in self.candidate_images]

    @property
    def right(self) -> list[NDArray[np.int64]]:
        """Candidates that answer each question, in ascending order."""
        column = {group: index for index, group in enumerate(self.candidate_groups)}
        return [
            np.array(sorted(column[group] for group in question.groups), dtype=np.int64)
            for question in self.questions
        ]

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
        NothingToMeasureError: The split has no such row, or one concept only.
    """
    label = corpus.version.label
    asked: dict[tuple[str, str], set[str]] = {}
    for row in corpus.rows:
        if (pair := pairing(row)) is not None:
            text, image = pair
            asked.setdefault((row.language, text), set()).add(corpus.group_of(image))
    if not asked:
        raise NothingToMeasureError(
            label,
            f'no row of split "{corpus.split}" pairs a text with an image, so text-to-image '
            "recall cannot be measured",
            "Build rows of the cells T->I, T->IT or I->T as well.",
        )
    every_group = sorted(set().union(*asked.values()))
    if len(every_group) < 2:
        raise NothingToMeasureError.too_few_groups(
            label, f'split "{corpus.split}" has a single concept, so nothing to choose among'
        )
    images = images_by_group(corpus)
    generator = np.random.default_rng(seed)
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


def images_by_group(corpus: Corpus) -> dict[str, list[str]]:
    """sha256 of a split's images by group, in order; the store may hold other splits' too."""
    found = {item.image for row in corpus.rows for item in row.items if item.image is not None}
    images: dict[str, list[str]] = {}
    for image in sorted(found):
        images.setdefault(corpus.group_of(image), []).append(image)
    return images


def pairing(row: Row) -> tuple[str, str] | None:
    """The text of a row and the image it is about; None if it pairs none."""
    match row.modality:
        case "T->I" | "T->IT":
            text, image = row.query.text, row.positive.image
        case "I->T":
            text, image = row.positive.text, row.query.image
        case _:
            return None
    return None if text is None or image is None else (text, image)
