"""Finds pictures that cannot be decoded before training does; their rows are skipped."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from schemas.errors import PolysceneError
from schemas.pictures import PictureError
from trainer.data.image_store import ImageStore
from trainer.data.items import Item, Row
from trainer.data.row_reader import SkipCount
from trainer.progress import progress_bar

if TYPE_CHECKING:
    from trainer.data.corpus import Corpus

#: JPEGs decode at an eighth of their sides for it; every byte is read all the same.
_CHECKED_SIDE_PX = 64
_CHUNK = 512
_MAX_NAMED = 3


class UnreadablePicturesError(PolysceneError):
    """More rows than allowed have a picture that cannot be decoded.

    Args:
        version: As the user gave it.
        num_rows: Rows affected.
        num_all: Rows of the split.
        max_share: What was allowed.
        examples: File, row id and problem of the first few.
    """

    def __init__(
        self, version: str, num_rows: int, num_all: int, max_share: float, examples: list[str]
    ) -> None:
        self.version = version
        self.num_rows = num_rows
        self.num_all = num_all
        self.max_share = max_share
        self.examples = examples
        super().__init__(
            f"{version}: {num_rows:,} of {num_all:,} rows have a picture that cannot be read, "
            f"more than {max_share:.3%}: {'; '.join(examples)}. Drop these rows and release "
            "again, or raise --max-unreadable-share."
        )


def check_pictures(corpus: "Corpus", max_share: float = 0.001) -> "Corpus":
    """The corpus without rows whose query or positive has an unreadable picture.

    Every distinct picture is decoded once, at reduced size, by all cores. A
    hard negative that cannot be read only leaves its row. Both are counted in
    `Corpus.skipped`; if there is nothing to skip, the same corpus is returned.

    Args:
        corpus: As loaded.
        max_share: Share of the rows, from 0 to 1, that may be skipped.

    Raises:
        UnreadablePicturesError: More rows than that would be skipped; names the first ones.
    """
    used = dict.fromkeys(
        item.image for row in corpus.rows for item in row.items if item.image is not None
    )
    problems = _unreadable(corpus.images, used)
    if not problems:
        return corpus
    touched = [row for row in corpus.rows if any(item.image in problems for item in row.items)]
    files = corpus.files_of([row.id for row in touched])
    lost = [row for row in touched if _first_problem((row.query, row.positive), problems)]
    if len(lost) > max_share * len(corpus.rows):
        examples = [
            f'{files.get(row.id, "")}, row id "{row.id}": '
            f"{_first_problem((row.query, row.positive), problems)}"
            for row in lost[:_MAX_NAMED]
        ]
        raise UnreadablePicturesError(
            corpus.version.given, len(lost), len(corpus.rows), max_share, examples
        )
    count = SkipCount()
    rows = [_without(row, problems, count, files) for row in corpus.rows]
    return replace(
        corpus,
        rows=[row for row in rows if row is not None],
        skipped=corpus.skipped + count.result(),
    )


def _unreadable(images: ImageStore, used: Iterable[str]) -> dict[str, str]:
    """What is wrong with each picture that cannot be decoded, by sha256."""
    names = list(used)
    problems: dict[str, str] = {}

    def problem_of(sha256: str) -> str | None:
        try:
            images.picture(sha256, max_side_px=_CHECKED_SIDE_PX)
        except PictureError as exc:
            return exc.what
        return None

    with (
        ThreadPoolExecutor() as pool,
        progress_bar("checking pictures", len(names)) as advance,
    ):
        for chunk in _chunks(names):
            for sha256, problem in zip(chunk, pool.map(problem_of, chunk), strict=True):
                if problem is not None:
                    problems[sha256] = problem
            advance(len(chunk))
    return problems


def _chunks(names: list[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _first_problem(items: Iterable[Item], problems: dict[str, str]) -> str | None:
    found = (problems.get(item.image) for item in items if item.image is not None)
    return next((problem for problem in found if problem is not None), None)


def _without(
    row: Row, problems: dict[str, str], count: SkipCount, files: dict[str, str]
) -> Row | None:
    problem = _first_problem((row.query, row.positive), problems)
    if problem is not None:
        count.add(f"rows with an unreadable picture: {problem}", files.get(row.id, ""), row.id)
        return None
    if _first_problem(row.items, problems) is None:
        return row
    kept: list[Item] = []
    for item in row.negatives:
        problem = _first_problem((item,), problems)
        if problem is None:
            kept.append(item)
        else:
            what = f"hard negatives with an unreadable picture: {problem}"
            count.add(what, files.get(row.id, ""), row.id)
    return replace(row, negatives=tuple(kept))
