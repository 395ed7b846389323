from schemas.vocabulary import CELL_BY_NAME, CELLS, LANGUAGES, MODALITIES

#: XLM-R's list as mmE5 uses it (arXiv 2502.08468).
XLMR = (
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he "
    "hi hr hu hy id is it ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om "
    "or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh"
)


def test_the_languages_are_the_93_of_the_paper() -> None:
    assert sorted(LANGUAGES) == sorted(XLMR.split())
    assert len(LANGUAGES) == 93
    right_to_left = {code for code, language in LANGUAGES.items() if language.is_rtl}
    assert right_to_left == {"ar", "fa", "he", "ps", "sd", "ug", "ur", "yi"}


def test_ten_cells_cover_the_seven_modality_combinations() -> None:
    assert len(CELLS) == len(CELL_BY_NAME) == 10
    assert {cell.modality for cell in CELLS} == set(MODALITIES)
    assert len(MODALITIES) == 7


def test_images_are_attached_in_the_order_query_positive_negative() -> None:
    assert CELL_BY_NAME["retrieval_it2it"].image_roles == ("query", "positive", "negative")
    assert CELL_BY_NAME["retrieval_t2i"].image_roles == ("positive", "negative")
    assert CELL_BY_NAME["vqa_it2t"].image_roles == ("query",)
