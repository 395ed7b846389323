"""Questions that each choose among a list of their own: embedded once, ranked, labelled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.data.items import Item
from trainer.encoders.encoder import Encoder
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.outcomes import Outcomes, join
from trainer.evaluate.ranking import Ranking, choose_k, rank_corpus, rank_lists
from trainer.evaluate.suites.image_files import ImageFiles
from trainer.evaluate.vectors import embed_once

# Q questions, N documents, D embedding

_MAX_EXAMPLES = 3
#: Share of a list's candidates that may be missing; more would flatter the model.
_MAX_DROPPED_SHARE = 0.01


class Side(NamedTuple):
    """A query or a candidate as published; each part may be missing, the image is a path."""

    instruction: str | None = None
    text: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A query and what it chooses among.

    Args:
        where: Names it in messages: "VizWiz, row 3".
        query: What is asked.
        candidates: Places in the list of documents; None for every document.
        right: Places of those that answer it; among the candidates.
        labels: What it is counted under, by kind.
        unit: Number of what is resampled together.
    """

    where: str
    query: Side
    candidates: NDArray[np.int64] | None
    right: tuple[int, ...]
    labels: dict[str, str]
    unit: int


@dataclass(slots=True)
class QuestionList:
    """Questions over one list of documents.

    Args:
        questions: In published order.
        documents: Every candidate of any of them, once, with its place.
    """

    questions: list[Question] = field(default_factory=list)
    documents: dict[Side, int] = field(default_factory=dict)

    def place(self, side: Side) -> int:
        """The place of a candidate, which is added where it is new."""
        return self.documents.setdefault(side, len(self.documents))

    @property
    def image_names(self) -> list[str]:
        """Paths of every picture named."""
        sides = [*(question.query for question in self.questions), *self.documents]
        return list(dict.fromkeys(side.image for side in sides if side.image is not None))


@dataclass(slots=True)
class LeftOut:
    """What is not measured, counted by reason, a few of each named.

    Args:
        counts: Questions, by reason.
        examples: The first few of them.
        dropped: Wrong candidates that other questions had to do without.
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        """Counts one question."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        named = self.examples.setdefault(reason, [])
        if len(named) < _MAX_EXAMPLES:
            named.append(example)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def sentences(self) -> list[str]:
        """One sentence per reason."""
        lines = [
            f"{count:,} questions are not measured: {reason} "
            f"({_named(self.examples[reason], count)})."
            for reason, count in self.counts.items()
        ]
        return lines + [
            f"{len(names):,} wrong candidates are missing from the lists: {reason} "
            f"({_named(names[:_MAX_EXAMPLES], len(names))})."
            for reason, names in self.dropped.items()
        ]


def _named(examples: Sequence[str], count: int) -> str:
    more = f" and {count - len(examples):,} more" if count > len(examples) else ""
    return "; ".join(examples) + more


@dataclass(frozen=True, slots=True)
class _Kept:
    """A question that is measured, and what is left of its list."""

    question: Question
    query: Item
    candidates: NDArray[np.int64] | None
    right: list[int]
    k: int


def measure_lists(
    encoder: Encoder,
    asked: QuestionList,
    images: ImageFiles,
    k: int,
    left_out: LeftOut,
    *,
    max_chunk_tokens: int | None = None,
) -> Outcomes | None:
    """Ranks every question's candidates; each distinct item is embedded once.

    A question is left out, and counted, where its picture or that of its right
    candidate is missing, the model does not take them, or it could not miss.
    A wrong candidate that cannot be embedded is dropped, and counted; where
    that is more than 1 % of a question's own list, the question is left out. The
    order of candidates has no effect: ties count against the model.

    Args:
        encoder: Stays as it is.
        asked: Questions and documents.
        images: Where their pictures are.
        k: Depth of recall, lowered where a list is short.
        left_out: Counts what is left out.

    Returns:
        Outcomes of the questions that were measured; None if there are none.
    """
    images.add(asked.image_names)
    documents = [_item(side, encoder, images) for side in asked.documents]
    has_problem_N = np.array([problem is not None for _, problem in documents], dtype=bool)
    every_N = np.arange(len(documents), dtype=np.int64)
    bad_N = np.flatnonzero(has_problem_N)
    kept: list[_Kept] = []
    dropped: set[int] = set()
    for question in asked.questions:
        query, problem = _item(question.query, encoder, images)
        listed = every_N if question.candidates is None else question.candidates
        bad = bad_N if question.candidates is None else listed[has_problem_N[listed]]
        right = [place for place in question.right if documents[place][1] is None]
        is_list = question.candidates is not None
        too_many = is_list and len(bad) > _MAX_DROPPED_SHARE * len(listed)
        if problem is None and len(bad) and (too_many or not right):
            problem = documents[int(bad[0]) if right else question.right[0]][1]
        listed_k = choose_k(k, len(listed) - len(bad))
        if problem is None and listed_k is None:
            problem = "a single candidate, so nothing to choose among"
        if problem is not None:
            reason, _, example = problem.partition("\0")
            left_out.add(reason, f"{question.where}{f', {example}' if example else ''}")
            continue
        assert query is not None and listed_k is not None
        dropped.update(bad.tolist())
        candidates = None
        if is_list:
            candidates = listed[~has_problem_N[listed]] if len(bad) else listed
        kept.append(_Kept(question, query, candidates, right, listed_k))
    for place in sorted(dropped):
        reason, _, example = (documents[place][1] or "").partition("\0")
        left_out.dropped.setdefault(reason, []).append(example or "one without a name")
    if not kept:
        return None
    items = [item for item, _ in documents]
    return _rank(encoder, kept, items, images, left_out, max_chunk_tokens)


def _item(side: Side, encoder: Encoder, images: ImageFiles) -> tuple[Item | None, str | None]:
    """A side as an item, or why it cannot be one: a reason, and after NUL an example."""
    if side.image is None and side.text is None:
        return None, "neither text nor picture"
    sha256 = None
    if side.image is not None:
        sha256 = images.sha256.get(side.image)
        if sha256 is None:
            return None, f"{images.problems[side.image]}\0{side.image[:200]!r}"
    item = Item(side.instruction, side.text, sha256)
    if item.modality not in encoder.takes:
        what = {"T": "texts", "I": "pictures", "IT": "picture and text as one"}[item.modality]
        return None, f"this model does not take {what}"
    return item, None


def _rank(
    encoder: Encoder,
    kept: Sequence[_Kept],
    items: Sequence[Item | None],
    images: ImageFiles,
    left_out: LeftOut,
    max_chunk_tokens: int | None,
) -> Outcomes | None:
    # Equal documents under several paths are one, so that copies of a right one are right.
    row_of: dict[Item, int] = {}
    row_N = np.full(len(items), -1, dtype=np.int64)
    is_used_N = np.zeros(len(items), dtype=bool)
    for each in kept:
        is_used_N[slice(None) if each.candidates is None else each.candidates] = True
    for place in np.flatnonzero(is_used_N).tolist():
        item = items[place]
        if item is not None:
            row_N[place] = row_of.setdefault(item, len(row_of))
    vectors = embed_once(
        encoder,
        [*(each.query for each in kept), *row_of],
        images,
        max_chunk_tokens=max_chunk_tokens,
    )
    of_corpus = [each for each in kept if each.candidates is None]
    of_lists = [each for each in kept if each.candidates is not None]
    parts: list[Outcomes] = []
    if of_corpus:
        ranking = rank_corpus(
            vectors.of(each.query for each in of_corpus),
            vectors.of(row_of),
            [np.unique(row_N[each.right]) for each in of_corpus],
        )
        parts.append(_outcomes(of_corpus, ranking, left_out))
    if of_lists:
        ranking = rank_lists(
            vectors.of(each.query for each in of_lists),
            vectors.of(row_of),
            [row_N[each.candidates] for each in of_lists],
            [row_N[each.right] for each in of_lists],
        )
        parts.append(_outcomes(of_lists, ranking, left_out))
    outcomes = join(parts)
    return outcomes if len(outcomes) else None


def _outcomes(kept: Sequence[_Kept], ranking: Ranking, left_out: LeftOut) -> Outcomes:
    """Ranks with their labels, of the questions that could have missed."""
    outcomes = Outcomes(
        ranking,
        np.array([each.k for each in kept], dtype=np.int64),
        np.array([each.question.unit for each in kept], dtype=np.int64),
        {
            kind: np.array([each.question.labels[kind] for each in kept])
            for kind in kept[0].question.labels
        },
    )
    can_miss_Q = ranking.num_wrong_Q >= outcomes.k_Q
    for number in np.flatnonzero(~can_miss_Q).tolist():
        reason = "too few wrong candidates, so it cannot miss"
        left_out.add(reason, kept[number].question.where)
    return outcomes.where(can_miss_Q)


def nothing_measured(label: str, left_out: LeftOut, remedy: str) -> NothingToMeasureError:
    """The error of a benchmark of which every question was left out."""
    what = " ".join(left_out.sentences()).rstrip(".") or "it has no questions"
    return NothingToMeasureError(label, what, remedy)
