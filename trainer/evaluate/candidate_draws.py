"""Recall@k expected over all draws of candidates: the concept measure without sampling noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from trainer.data.corpus import Corpus
from trainer.data.items import Item
from trainer.evaluate.outcomes import Tally
from trainer.evaluate.questions import Question, images_by_group, make_questions
from trainer.evaluate.ranking import TIE
from trainer.evaluate.vectors import Vectors

# Q questions, C concepts, I pictures, P pairs of a question and a right picture, W counts,
# G languages, U units, D embedding

#: Questions and candidates of more concepts add little and cost their product.
MAX_GROUPS = 1_000
#: Of a concept, the first by content hash: a sample that does not depend on anything else.
MAX_PICTURES = 16
_QUESTIONS_PER_BLOCK = 512
_PAIRS_PER_BLOCK = 4_096
_SCORES_PER_BLOCK = 2**20
_NEGLIGIBLE = 1e-9
_MAX_RIGHT = 16


@dataclass(frozen=True, slots=True)
class DrawnConcepts:
    """Questions over all held-out concepts, with the pictures of each.

    Args:
        questions: No (language, text) twice.
        groups: Concepts, in alphabetical order.
        images: sha256 of every picture, a group's together, groups in their order.
        owner: Position of each picture's group.
        num_drawn: Concepts in a draw of candidates, one picture of each.
    """

    questions: tuple[Question, ...]
    groups: tuple[str, ...]
    images: tuple[str, ...]
    owner: NDArray[np.int64]
    num_drawn: int

    @property
    def items(self) -> list[Item]:
        """Texts and pictures."""
        texts = [Item(text=question.text) for question in self.questions]
        return [*texts, *(Item(image=image) for image in self.images)]


def draw_concepts(corpus: Corpus, num_candidates: int, seed: int) -> DrawnConcepts:
    """The questions of `make_questions`, over all of a split's concepts instead of a sample.

    Args:
        corpus: Held-out rows.
        num_candidates: That a question chooses among, as in `make_questions`.
        seed: Of the sample where there are more than `MAX_GROUPS` concepts.

    Raises:
        NothingToMeasureError: No row pairs a text with an image, or there is one concept only.
    """
    asked = make_questions(corpus, max(MAX_GROUPS, num_candidates), seed)
    pictures = {group: images[:MAX_PICTURES] for group, images in images_by_group(corpus).items()}
    owner = [
        position for position, group in enumerate(asked.candidate_groups) for _ in pictures[group]
    ]
    return DrawnConcepts(
        asked.questions,
        asked.candidate_groups,
        tuple(image for group in asked.candidate_groups for image in pictures[group]),
        np.array(owner, dtype=np.int64),
        min(num_candidates, len(asked.candidate_groups)),
    )


def expect_recall(drawn: DrawnConcepts, vectors: Vectors, k: int) -> Tally:
    """Expected hits of every question, by language and by the concept it asks for.

    A draw of candidates takes `num_drawn` concepts, one that answers the
    question among them, and a random picture of each. The chance that fewer
    than k wrong ones score as high as the best right one follows from the
    scores, exactly: how many concepts would is Poisson-binomial, how many of
    these are drawn hypergeometric. A single draw has the same mean and varies
    more, so that it takes more seeds to see a difference between models.

    Ties count against the model, and so do scores that are not numbers. The
    unit is the first right concept, as in `measure_concepts`. Questions that
    very many concepts answer are left out; chance answers them.
    """
    column = {group: position for position, group in enumerate(drawn.groups)}
    most = max(_MAX_RIGHT, min(len(question.groups) for question in drawn.questions))
    asked = [question for question in drawn.questions if len(question.groups) <= most]
    right = [
        np.array(sorted(column[group] for group in question.groups), dtype=np.int64)
        for question in asked
    ]
    image_ID = vectors.of(Item(image=image) for image in drawn.images)
    hits: list[float] = []
    for start in range(0, len(asked), _QUESTIONS_PER_BLOCK):
        block = slice(start, start + _QUESTIONS_PER_BLOCK)
        text_QD = vectors.of(Item(text=question.text) for question in asked[block])
        scores_QI = text_QD @ image_ID.T
        hits += [
            hit
            for some in _few_pairs(right[block], drawn)
            for hit in _expected_hits(scores_QI[some], right[block][some], drawn, k).tolist()
        ]
    languages, stratum_Q = np.unique([each.language for each in asked], return_inverse=True)
    unit_Q = [columns[0] for columns in right]
    hits_GU, counts_GU = np.zeros((2, len(languages), len(drawn.groups)))
    np.add.at(hits_GU, (stratum_Q, unit_Q), hits)
    np.add.at(counts_GU, (stratum_Q, unit_Q), 1)
    return Tally(tuple(map(str, languages)), hits_GU, counts_GU)


def _few_pairs(right: Sequence[NDArray[np.int64]], drawn: DrawnConcepts) -> Iterator[slice]:
    """Runs of questions whose right pictures fit into memory together."""
    sizes_C = np.bincount(drawn.owner, minlength=len(drawn.groups))
    start, num_pairs = 0, 0
    for number, columns in enumerate(right):
        more = int(sizes_C[columns].sum())
        if number > start and num_pairs + more > _PAIRS_PER_BLOCK:
            yield slice(start, number)
            start, num_pairs = number, 0
        num_pairs += more
    if start < len(right):
        yield slice(start, len(right))


def _expected_hits(
    scores_QI: NDArray[np.float32],
    right: Sequence[NDArray[np.int64]],
    drawn: DrawnConcepts,
    k: int,
) -> NDArray[np.float64]:
    """Chance of a hit of each question, shape (Q,).

    Args:
        scores_QI: Of every picture.
        right: Positions of the concepts that answer each question.
        drawn: The concepts.
        k: Depth of recall.
    """
    num_groups = len(drawn.groups)
    start_C = np.searchsorted(drawn.owner, np.arange(num_groups))
    size_C = np.diff(np.append(start_C, len(drawn.owner)))
    question_P, picture_P = _right_pictures(right, start_C, size_C)
    owner_P = drawn.owner[picture_P]
    better_PC, above_PC = _shares_above(scores_QI, question_P, picture_P, start_C, size_C)
    weights: list[list[float]] = []
    for pair, (number, own) in enumerate(zip(question_P, owner_P, strict=True)):
        columns = right[number]
        above_PC[pair, columns] = 0
        lower = 1 - better_PC[pair, columns[columns != own]]
        sets = _sets_it_leads(lower, num_groups - len(columns), drawn.num_drawn)
        weights.append([each / int(size_C[own]) for each in sets])
    num_right_P = np.array([len(right[number]) for number in question_P])
    is_number_P = np.isfinite(scores_QI[question_P, picture_P])
    hit_Q, total_Q = np.zeros((2, len(right)))
    count_PW = _counts_above(above_PC, num_right_P, drawn.num_drawn, k)
    for place in range(int(num_right_P.max())):
        weight_P = np.array([each[place] if place < len(each) else 0.0 for each in weights])
        within_PW = np.zeros_like(count_PW)
        for num_right in np.unique(num_right_P):
            num_wrong = num_groups - int(num_right)
            table = _drawn_within(num_wrong, drawn.num_drawn - 1 - place, k)
            within_PW[num_right_P == num_right, : len(table)] = table[: count_PW.shape[1]]
        chance_P = (count_PW * within_PW).sum(axis=1) * is_number_P
        np.add.at(hit_Q, question_P, weight_P * chance_P)
        np.add.at(total_Q, question_P, weight_P)
    return hit_Q / total_Q


def _right_pictures(
    right: Sequence[NDArray[np.int64]], start_C: NDArray[np.int64], size_C: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every question with each of its right pictures, shapes (P,) and (P,)."""
    own_C = np.split(np.arange(int(size_C.sum())), start_C[1:])
    pictures = [np.concatenate([own_C[column] for column in columns]) for columns in right]
    question_P = np.repeat(np.arange(len(right)), [len(each) for each in pictures])
    return question_P, np.concatenate(pictures)


def _shares_above(
    scores_QI: NDArray[np.float32],
    question_P: NDArray[np.int64],
    picture_P: NDArray[np.int64],
    start_C: NDArray[np.int64],
    size_C: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each concept's pictures, how many are above a right one; shapes (P, C) and (P, C).

    Returns:
        First with a higher score, then with one that is not lower.
    """
    better_PC, above_PC = np.empty((2, len(question_P), len(start_C)))
    num_rows = max(1, _SCORES_PER_BLOCK // scores_QI.shape[1])
    for begin in range(0, len(question_P), num_rows):
        block = slice(begin, begin + num_rows)
        scores_PI = scores_QI[question_P[block]]
        scores_PI = np.where(np.isfinite(scores_PI), scores_PI, np.nan)
        score_P1 = scores_PI[np.arange(len(scores_PI)), picture_P[block], None]
        higher_PI, not_lower_PI = scores_PI > score_P1, ~(scores_PI < score_P1 - TIE)
        better_PC[block] = np.add.reduceat(higher_PI, start_C, axis=1, dtype=np.int64) / size_C
        above_PC[block] = np.add.reduceat(not_lower_PI, start_C, axis=1, dtype=np.int64) / size_C
    return better_PC, above_PC


def _sets_it_leads(lower: NDArray[np.float64], num_wrong: int, num_drawn: int) -> list[float]:
    """How many draws have a picture's concept and no better right picture.

    Args:
        lower: Chance of each other right concept to show a picture that is no better.
        num_wrong: Concepts that do not answer.
        num_drawn: Candidates.

    Returns:
        By the number of other right concepts that are drawn; in units of the draws that
        have none of them, or of those with as few as there can be.
    """
    ways = np.ones(1)  # elementary symmetric polynomials of `lower`
    for chance in lower:
        ways = np.append(ways, 0) + np.append(0, ways * chance)
    return [
        way * each
        for way, each in zip(
            ways.tolist(), _relative_sets(len(ways), num_wrong, num_drawn), strict=True
        )
    ]


@lru_cache(maxsize=1_024)
def _relative_sets(num_right: int, num_wrong: int, num_drawn: int) -> tuple[float, ...]:
    """Draws with 0, 1, … of the other right concepts, in the unit of `_sets_it_leads`."""
    sets = [
        comb(num_wrong, num_drawn - 1 - others) if others < num_drawn else 0
        for others in range(num_right)
    ]
    unit = next(each for each in sets if each)
    return tuple(each / unit for each in sets)


def _counts_above(
    above_PC: NDArray[np.float64], num_right_P: NDArray[np.int64], num_drawn: int, k: int
) -> NDArray[np.float64]:
    """Chance of 0, 1, … wrong concepts above, as far as a hit is still possible; shape (P, W).

    Args:
        above_PC: Chance of each concept to show a picture above; 0 for right ones.
        num_right_P: Right concepts of each.
        num_drawn: Candidates.
        k: Depth of recall.
    """
    num_groups, most = above_PC.shape[1], int(num_right_P.max())
    width = max(
        len(_drawn_within(num_groups - int(num_right), num_drawn - drawn_right, k))
        for num_right in np.unique(num_right_P)
        for drawn_right in range(1, min(most, num_drawn) + 1)
    )
    count_PW = np.zeros((len(above_PC), width))
    count_PW[:, 0] = 1
    for column in np.flatnonzero(above_PC.any(axis=0)):
        chance_P1 = above_PC[:, column, None]
        moved_PW = count_PW[:, :-1] * chance_P1
        count_PW *= 1 - chance_P1
        count_PW[:, 1:] += moved_PW
    return count_PW


@lru_cache(maxsize=1_024)
def _drawn_within(num_wrong: int, num_drawn: int, k: int) -> tuple[float, ...]:
    """Chance that fewer than k of w marked concepts are drawn, for w = 0, 1, … while it counts.

    Args:
        num_wrong: Concepts, w of them marked.
        num_drawn: Of these, without replacement.
        k: Depth of recall.
    """
    num_drawn = max(0, min(num_drawn, num_wrong))
    total = comb(num_wrong, num_drawn)
    chances: list[float] = []
    for marked in range(num_wrong + 1):
        within = sum(
            comb(marked, few) * comb(num_wrong - marked, num_drawn - few)
            for few in range(min(k, marked + 1, num_drawn + 1))
        )
        if within / total < _NEGLIGIBLE:
            break
        chances.append(within / total)
    return tuple(chances)
