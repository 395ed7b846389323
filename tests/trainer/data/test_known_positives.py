import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.data.items import Item, Row  # noqa: E402
from trainer.data.known_positives import KnownPositives  # noqa: E402


def _row(number: int, query: Item, positive: Item, *negatives: Item, language: str = "en") -> Row:
    modality = f"{query.modality}->{positive.modality}"
    return Row(f"{number}", language, "retrieval", modality, query, positive, negatives)


def _group(image: str) -> str:
    return image.split("-")[0]


CAT, CAT_2, DOG = (Item(image=name) for name in ("cat-1", "cat-2", "dog-1"))


def _mask(rows: list[Row], queries: list[Item], candidates: list[Item]) -> list[list[bool]]:
    known = KnownPositives(rows, _group)
    own = [{n for row in rows if row.query == query for n in row.negatives} for query in queries]
    return known.mask(queries, candidates, own).tolist()


def test_a_match_stated_in_another_language_and_direction_is_no_negative() -> None:
    rows = [
        _row(0, Item(text="Katze"), CAT, language="de"),
        _row(1, CAT_2, Item(text="cat")),
        _row(2, Item(text="dog"), DOG),
    ]
    queries = [Item(text="Katze"), Item(text="cat"), Item(text="dog")]
    assert _mask(rows, queries, [CAT, CAT_2, DOG]) == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
    assert _mask(rows, [CAT, DOG], [Item(text=t) for t in ("Katze", "cat", "dog")]) == [
        [True, True, False],
        [False, False, True],
    ]


def test_a_document_of_image_and_text_matches_by_its_image() -> None:
    rows = [_row(0, Item(text="Katze"), CAT)]
    document = Item(text="a cat on a mat", image="cat-2")
    assert _mask(rows, [Item(text="Katze")], [document]) == [[True]]


def test_a_picture_is_never_a_negative_of_its_own_group() -> None:
    rows = [_row(0, CAT, DOG)]
    assert _mask(rows, [CAT], [CAT_2, DOG, Item(image="bird-1")]) == [[True, True, False]]


def test_a_question_keeps_its_own_hard_negative_that_another_question_has_as_answer() -> None:
    colour, kind = Item(text="Black?", image="cat-1"), Item(text="A cat?", image="cat-1")
    yes, no = Item(text="yes"), Item(text="no")
    rows = [_row(0, colour, no, yes), _row(1, kind, yes, no)]
    assert _mask(rows, [colour, kind], [no, yes]) == [[True, False], [False, True]]


def test_what_is_known_of_an_image_alone_is_no_in_batch_negative_of_a_question_about_it() -> None:
    rows = [_row(0, Item(text="What is it?", image="cat-1"), Item(text="a cat"))]
    rows.append(_row(1, CAT_2, Item(text="a cat on a mat")))
    assert _mask(rows, [rows[0].query], [Item(text="a cat on a mat")]) == [[True]]


def test_the_same_query_in_two_rows_has_both_documents_masked() -> None:
    query = Item(instruction="Find it.", text="animal")
    rows = [_row(0, query, CAT), _row(1, Item(instruction="Other.", text="animal"), DOG)]
    assert _mask(rows, [query], [CAT, DOG, Item(image="car-1")]) == [[True, True, False]]
