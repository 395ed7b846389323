import pytest

pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from trainer.data.fit import fit_rows
from trainer.data.items import Item, Row

SIDES = {
    "T": lambda name: Item(text=f"{name} text"),
    "I": lambda name: Item(image=f"{name} image"),
    "IT": lambda name: Item(text=f"{name} text", image=f"{name} image"),
}


def _row(modality: str) -> Row:
    query, document = modality.split("->")
    side = SIDES[document]
    return Row(modality, "en", "retrieval", modality, SIDES[query]("q"), side("p"), (side("n"),))


def _texts_and_images(modality: str) -> set[tuple[str | None, str | None]]:
    rows = fit_rows([_row(modality)], ("T", "I")).rows
    assert all(row.query.image is None and row.positive.text is None for row in rows)
    return {(row.query.text, row.positive.image) for row in rows}


def test_a_model_that_takes_everything_gets_the_rows_as_they_are() -> None:
    rows = [_row(modality) for modality in ("T->I", "IT->T", "IT->IT", "I->I")]
    fitted = fit_rows(rows, ("T", "I", "IT"))
    assert fitted.rows == rows
    assert fitted.describe() is None


@pytest.mark.parametrize(
    ("modality", "pairs"),
    [
        ("T->I", {("q text", "p image")}),
        ("I->T", {("p text", "q image")}),
        ("IT->T", {("p text", "q image")}),
        (
            "T->IT",
            {("q text", "p image"), ("p text", "p image"), ("n text", "n image")},
        ),
        ("IT->IT", {("p text", "p image"), ("n text", "n image")}),
        ("I->I", set()),
        ("IT->I", set()),
    ],
)
def test_a_dual_encoder_gets_the_text_image_pairs_that_a_row_states(
    modality: str, pairs: set[tuple[str, str]]
) -> None:
    assert _texts_and_images(modality) == pairs


def test_hard_negatives_stay_on_the_side_they_belong_to() -> None:
    (to_image,) = fit_rows([_row("T->I")], ("T", "I")).rows
    assert (to_image.negatives, to_image.query_negatives) == ((Item(image="n image"),), ())
    (to_text,) = fit_rows([_row("I->T")], ("T", "I")).rows
    assert (to_text.negatives, to_text.query_negatives) == ((), (Item(text="n text"),))


def test_what_is_split_and_what_is_left_out_is_said_with_counts() -> None:
    rows = [_row("T->IT"), _row("T->IT"), _row("I->I"), _row("T->I")]
    said = fit_rows(rows, ("T", "I")).describe()
    assert said is not None
    assert "2 rows with image and text on one side" in said
    assert "1 rows are left out" in said
    assert "retrieval I->I 1" in said


def test_a_text_model_takes_no_row_with_an_image() -> None:
    fitted = fit_rows([_row("T->I"), _row("IT->T")], ("T",))
    assert fitted.rows == []
    assert fitted.num_left_out.total() == 2
