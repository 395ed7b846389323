"""Picks each job's images: used evenly, positives and hard negatives by similarity."""

# J jobs of one kind, N images, L languages, K neighbours, S siblings

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builder.images.index import ImageIndex
from builder.images.neighbours import Neighbours
from builder.plan.mixing import below, key_of, mix, shuffled
from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES, Cell

#: Draws with the same first image; later draws change it too, until the maximum.
_SAME_ANCHOR = 4
_MAX_DRAWS = 24
_JOBS_AT_ONCE = 65_536


class PlanError(PolysceneError):
    """The workspace's images do not allow the plan."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Jobs whose images are picked alike."""

    where_J: NDArray[np.int64]
    language_J: NDArray[np.int16]
    has_query: bool
    has_document: bool


class ImagePicker:
    """Picks the images of all jobs of a round.

    Every job starts from one image, its anchor: the query image, or the
    positive where the query has none. The images used least so far come
    first, in shuffled order, so that all are used about equally often.

    Args:
        index: The images.
        neighbours: Their neighbours; None if no cell has document images.
        languages: The languages, by the numbers in `language_J`.
        key: Seed of every choice.
        room_N: How many more samples may have each image as their query image, shape (N,); None
            for no bound.

    Raises:
        PlanError: The index is empty.
    """

    def __init__(
        self,
        index: ImageIndex,
        neighbours: Neighbours | None,
        languages: tuple[str, ...],
        key: int,
        room_N: NDArray[np.int64] | None = None,
    ) -> None:
        if not len(index):
            raise PlanError(
                "the workspace has no images. Add some with `python -m builder images add DIR`, "
                "or the bundled ones with `python -m builder images add pictograms`."
            )
        self._index = index
        self._neighbours = neighbours
        self._languages = languages
        self._key = key
        self._shuffled_N = shuffled(len(index), key_of(key, "shuffle"))
        self._uses_N = np.zeros(len(index), dtype=np.int64)
        self._room_N = room_N
        restricted = {i: index.allowed_in(language) for i, language in enumerate(languages)}
        self._restricted = {i: mask for i, mask in restricted.items() if mask is not None}
        self._allowed_LN: NDArray[np.bool_] | None = None
        if self._restricted:
            self._allowed_LN = np.ones((len(languages), len(index)), dtype=np.bool_)
            for number, mask in self._restricted.items():
                self._allowed_LN[number] = mask

    def pick(
        self, cells: tuple[Cell, ...], cell_J: NDArray[np.int8], language_J: NDArray[np.int16]
    ) -> NDArray[np.int32]:
        """Query, positive and negative image of each job, shape (J, 3), -1 where it has none.

        Raises:
            PlanError: A language or cell has jobs but no suitable image.
        """
        images_J3 = np.full((len(cell_J), 3), -1, dtype=np.int32)
        for has_query, has_document in ((True, False), (True, True), (False, True)):
            numbers = [
                number
                for number, cell in enumerate(cells)
                if (cell.query_has_image, cell.document_has_image) == (has_query, has_document)
            ]
            where_J = np.flatnonzero(np.isin(cell_J, numbers))
            if len(where_J):
                rows = _Rows(where_J, language_J[where_J], has_query, has_document)
                images_J3[where_J] = self._pick_rows(rows)
        return images_J3

    def _pick_rows(self, rows: _Rows) -> NDArray[np.int32]:
        images_J3 = np.full((len(rows.where_J), 3), -1, dtype=np.int32)
        eligible = {
            int(number): self._eligible(int(number), rows) for number in np.unique(rows.language_J)
        }
        anchor_J = np.zeros(len(rows.where_J), dtype=np.int32)
        for number, images in eligible.items():
            mine = np.flatnonzero(rows.language_J == number)
            anchor_J[mine] = self._anchors(images, len(mine), number, rows)
        if not rows.has_document:
            images_J3[:, 0] = anchor_J
            return images_J3
        open_J = np.arange(len(rows.where_J))
        for draw in range(_MAX_DRAWS):
            if draw >= _SAME_ANCHOR:
                self._redraw_anchors(anchor_J, open_J, rows, eligible, draw)
            unmet = []
            for start in range(0, len(open_J), _JOBS_AT_ONCE):
                part = open_J[start : start + _JOBS_AT_ONCE]
                found, is_good = self._draw(anchor_J[part], rows, part, draw)
                images_J3[part[is_good]] = found[is_good]
                unmet.append(part[~is_good])
            open_J = np.concatenate(unmet)
            if not len(open_J):
                return images_J3
        raise self._too_few(int(rows.language_J[open_J[0]]), rows)

    def _eligible(self, language: int, rows: _Rows) -> NDArray[np.int64]:
        """Images that can be an anchor in this language, in shuffled order.

        Raises:
            PlanError: There are none.
        """
        mask_N = self._restricted.get(language)
        if mask_N is None:
            mask_N = np.ones(len(self._index), dtype=np.bool_)
        if rows.has_document:
            assert self._neighbours is not None
            of_NK, siblings_NS = self._neighbours.of_NK, self._neighbours.siblings_NS
            usable_NK = (of_NK >= 0) & mask_N[of_NK]
            enough_N = usable_NK.any(axis=1)
            if rows.has_query:
                # The positive is a sibling; without one, neighbours of two groups are needed.
                group_NK = self._index.group_N[of_NK]
                first_N1 = np.take_along_axis(group_NK, usable_NK.argmax(axis=1)[:, None], axis=1)
                two_groups_N = (usable_NK & (group_NK != first_N1)).any(axis=1)
                has_sibling_N = ((siblings_NS >= 0) & mask_N[siblings_NS]).any(axis=1)
                enough_N &= has_sibling_N | two_groups_N
            mask_N = mask_N & enough_N
        images = self._shuffled_N[mask_N[self._shuffled_N]]
        if not len(images):
            raise self._too_few(language, rows)
        return images

    def _anchors(
        self, images: NDArray[np.int64], count: int, language: int, rows: _Rows
    ) -> NDArray[np.int64]:
        """`count` of these images, the least used first, none beyond its room as a query image."""
        room_N = self._room_N
        if room_N is None or not rows.has_query:
            return self._least_used(images, count)
        taken: list[NDArray[np.int64]] = []
        while count:
            free = images[room_N[images] > 0]
            if not len(free):
                raise self._no_room(language, count)
            part = self._least_used(free, min(count, len(free)))
            room_N[part] -= 1
            taken.append(part)
            count -= len(part)
        return np.concatenate([np.zeros(0, dtype=np.int64), *taken])

    def _no_room(self, language: int, num_missing: int) -> PlanError:
        code = self._languages[language]
        return PlanError(
            f"images.max_samples_per_image: {num_missing:,} jobs in {LANGUAGES[code].name} "
            f"({code}) find no query image that is not used so often already. Add "
            "more images, or raise it."
        )

    def _least_used(self, images: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """`count` of these images, the least used first; counts them as used."""
        each, more = divmod(count, len(images))
        rarest = images[np.argsort(self._uses_N[images], kind="stable")]
        taken = np.concatenate([np.tile(rarest, each), rarest[:more]])
        self._uses_N[images] += each
        self._uses_N[rarest[:more]] += 1
        return taken

    def _redraw_anchors(
        self,
        anchor_J: NDArray[np.int32],
        open_J: NDArray[np.int64],
        rows: _Rows,
        eligible: dict[int, NDArray[np.int64]],
        draw: int,
    ) -> None:
        chance_J = mix(rows.where_J[open_J].astype(np.uint64), key_of(self._key, "anchor", draw))
        for number in np.unique(rows.language_J[open_J]):
            mine = rows.language_J[open_J] == number
            images = eligible[int(number)]
            if self._room_N is not None and rows.has_query:
                np.add.at(self._room_N, anchor_J[open_J[mine]], 1)
                key = key_of(self._key, "room", draw)
                drawn_J = self._with_room(images, int(mine.sum()), int(number), key)
            else:
                drawn_J = images[below(len(images), chance_J[mine])]
            anchor_J[open_J[mine]] = drawn_J

    def _with_room(
        self, images: NDArray[np.int64], count: int, language: int, key: int
    ) -> NDArray[np.int64]:
        """`count` of these images by chance, none beyond its room as a query image."""
        room_N = self._room_N
        assert room_N is not None
        places = np.repeat(images, np.minimum(room_N[images].clip(0), count))
        if len(places) < count:
            raise self._no_room(language, count)
        order = np.argsort(mix(np.arange(len(places), dtype=np.uint64), key), kind="stable")
        drawn_J = places[order[:count]]
        np.subtract.at(room_N, drawn_J, 1)
        return drawn_J

    def _draw(
        self, anchor_J: NDArray[np.int32], rows: _Rows, part: NDArray[np.int64], draw: int
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Draws positive and negative of each job once; says which draws are acceptable."""
        assert self._neighbours is not None
        group_N = self._index.group_N
        index_J = rows.where_J[part].astype(np.uint64)
        language_J = rows.language_J[part]
        of_JK = self._neighbours.of_NK[anchor_J]
        usable_JK = self._usable(of_JK, language_J)
        chance_J = mix(index_J, key_of(self._key, "positive", draw))
        images_J3 = np.full((len(part), 3), -1, dtype=np.int32)
        if rows.has_query:
            siblings_JS = self._neighbours.siblings_NS[anchor_J]
            sibling_JS = self._usable(siblings_JS, language_J)
            has_sibling_J = sibling_JS.any(axis=1)
            # Without siblings, the positive comes from the nearer half of the neighbours.
            half_J = np.maximum(1, usable_JK.sum(axis=1) // 2)
            rank_J = _nth_true(usable_JK, below(half_J, chance_J))
            num_J = np.maximum(1, sibling_JS.sum(axis=1))
            sibling_J = _nth_true(sibling_JS, below(num_J, chance_J))
            row = np.arange(len(part))
            positive_J = np.where(has_sibling_J, siblings_JS[row, sibling_J], of_JK[row, rank_J])
            images_J3[:, 0] = anchor_J
            # If possible, the hard negative is less like the query than the positive is.
            further_JK = usable_JK & (np.arange(of_JK.shape[1]) > rank_J[:, None])
            candidate_JK = usable_JK & (group_N[of_JK] != group_N[positive_J][:, None])
            further_JK &= candidate_JK
            use_further_J = ~has_sibling_J & further_JK.any(axis=1)
            candidate_JK = np.where(use_further_J[:, None], further_JK, candidate_JK)
        else:
            positive_J, candidate_JK = anchor_J, usable_JK
        num_J = candidate_JK.sum(axis=1)
        chance_J = mix(index_J, key_of(self._key, "negative", draw))
        rank_J = _nth_true(candidate_JK, below(np.maximum(1, num_J), chance_J))
        negative_J = of_JK[np.arange(len(part)), rank_J]
        images_J3[:, 1], images_J3[:, 2] = positive_J, negative_J
        is_good_J = (num_J > 0) & (positive_J >= 0) & (negative_J >= 0)
        is_good_J &= ~self._neighbours.are_near_duplicates(positive_J, negative_J)
        return images_J3, is_good_J

    def _usable(
        self, images_JK: NDArray[np.int32], language_J: NDArray[np.int16]
    ) -> NDArray[np.bool_]:
        usable_JK = images_JK >= 0
        if self._allowed_LN is not None:
            usable_JK &= self._allowed_LN[language_J[:, None], images_JK]
        return usable_JK

    def _too_few(self, language: int, rows: _Rows) -> PlanError:
        code = self._languages[language]
        name = f"{LANGUAGES[code].name} ({code})"
        if not rows.has_document:
            return PlanError(
                f"no image can be written about in {name}. Leave {code} out of `languages`, "
                "or add images without that limit."
            )
        return PlanError(
            f"{len(self._index):,} images, but for {name} none has both a positive and a hard "
            "negative of another group within `images.window`. Add more images, widen "
            f"`images.window`, or leave {code} or the combinations with document images out."
        )


def _nth_true(mask_JK: NDArray[np.bool_], n_J: NDArray[np.int64]) -> NDArray[np.int64]:
    """Column of the n-th (from 0) true entry of each row; 0 where there are fewer."""
    return (mask_JK.cumsum(axis=1) > n_J[:, None]).argmax(axis=1)
