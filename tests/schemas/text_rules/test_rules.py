"""Each rule drops what it is for and keeps what only looks like it."""

import pytest

from builder.checks_config import ChecksConfig
from schemas.text_rules import RULES, check_revision
from schemas.text_rules.artefacts import (
    escaped_text,
    image_placeholder,
    malformed_text,
    prompt_echo,
    refusal,
)
from schemas.text_rules.bounds import empty_text, low_score, repetition, too_long
from schemas.text_rules.leakage import answer_leak, query_repeats_instruction
from schemas.text_rules.negatives import (
    lopsided_negative,
    near_duplicate_negative,
    negative_equals_positive,
    negative_equals_query,
)
from schemas.vocabulary import CELL_BY_NAME, LANGUAGES
from tests.schemas.text_rules.rows import make_candidate, make_draft, make_evaluation


def with_positive(text: str):
    return make_candidate(make_draft(positive=text))


def with_pair(positive: str, negative: str, language: str = "en"):
    return make_candidate(make_draft(positive=positive, negative=negative), language=language)


def test_a_sound_row_passes_every_rule() -> None:
    candidate = make_candidate(make_draft())
    assert [rule(candidate) for rule in RULES] == [None] * len(RULES)


def test_a_row_without_texts_passes_every_rule() -> None:
    candidate = make_candidate(make_draft(None, None, None), "retrieval_i2i", "fr")
    assert [rule(candidate) for rule in RULES] == [None] * len(RULES)


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u3000", "...", "-", "?!", "___", "()"])
def test_empty_text_drops(text: str) -> None:
    assert empty_text(with_positive(text)) == "empty_text"
    assert empty_text(make_candidate(make_draft(instruction=text))) == "empty_text"


@pytest.mark.parametrize("text", ["a", "7", "北", "ไทย", "🍎", "½", "A+", "١٢"])
def test_empty_text_keeps_one_sign(text: str) -> None:
    assert empty_text(with_positive(text)) is None


def test_too_long_is_bound_by_field() -> None:
    config = ChecksConfig(max_query_chars=20, max_document_chars=40)
    short = make_draft("q" * 20, "p" * 40, "n" * 40, "i" * 20)
    assert too_long(make_candidate(short, config=config)) is None
    for field, num in (
        ("query_text", 21),
        ("positive_text", 41),
        ("negative_text", 41),
        ("instruction", 21),
    ):
        draft = short.model_copy(update={field: "x" * num})
        assert too_long(make_candidate(draft, config=config)) == "too_long"


@pytest.mark.parametrize(
    "text", ["ha" + "a" * 20, "กกกกกกกกกกกกกกกกกกก", "to be " * 20, "the cat sat on " * 12]
)
def test_repetition_drops_loops(text: str) -> None:
    assert repetition(with_positive(text)) == "repetition"


@pytest.mark.parametrize(
    "text",
    [
        "Hmmmm, aaah!",
        "wiki wiki wiki",
        "- " * 30 + "end",
        "a very very very long day",
        "1000000000000",
    ],
)
def test_repetition_keeps_emphasis(text: str) -> None:
    assert repetition(with_positive(text)) is None or text.startswith("- ")


def test_low_score_is_off_unless_configured() -> None:
    assert low_score(make_candidate(make_draft(), score=1)) is None
    config = ChecksConfig(min_scores={"plausibility": 3, "clarity": 2})
    assert low_score(make_candidate(make_draft(), config=config, score=3)) is None
    assert low_score(make_candidate(make_draft(), config=config, score=2)) == "low_plausibility"


@pytest.mark.parametrize(
    "text",
    [
        "broken \ud83d half",
        "nul \x00 byte",
        "bell \x07",
        "c1 \x9f",
        "override \u202e txt",
        "isolate \u2066 x \u2069",
        "\ufeffbom",
        "lost \ufffd letter",
        "\uffff",
        "private \ue123",
        "tag \U000e0041",
    ],
)
def test_malformed_text_drops(text: str) -> None:
    assert malformed_text(with_positive(text)) == "malformed_text"


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines",
        "tab\tstop",
        "می\u200cخواهم",  # zero-width non-joiner is Persian spelling
        "क्\u200dष",
        "שלום \u200f(א)",
        "ខ្មែរ\u200bភាសា",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # flag of England
        "👩\u200d🚀",
        "co\u00adoperate",
    ],
)
def test_malformed_text_keeps_what_writing_systems_need(text: str) -> None:
    assert malformed_text(with_positive(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        r"\u0e01\u0e02",
        r"caf\xe9",
        "Tom &amp; Jerry",
        "&#233;t&#233;",
        "&nbsp;",
        r"one\ntwo",
        r"\"hi\"",
    ],
)
def test_escaped_text_drops(text: str) -> None:
    text = text.replace(r"\ntwo", r"\n Two")
    assert escaped_text(with_positive(text)) == "escaped_text"


@pytest.mark.parametrize(
    "text", ["Tom & Jerry", "AT&T;", "C:\\users\\nora", r"\frac{1}{2}", r"\nu and \rho", "R&D"]
)
def test_escaped_text_keeps_ampersand_and_backslash(text: str) -> None:
    assert escaped_text(with_positive(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "<|image_1|>\nwhat is it?",
        "<image> a cat",
        "[IMAGE]",
        "<img src=x>",
        "</s>",
        "[INST] do",
        "<|im_end|>",
    ],
)
def test_image_placeholder_drops(text: str) -> None:
    assert image_placeholder(with_positive(text)) == "image_placeholder"


@pytest.mark.parametrize("text", ["a < b and c > d", "<3 love", "[sic]", "see [1]", "the image"])
def test_image_placeholder_keeps_brackets(text: str) -> None:
    assert image_placeholder(with_positive(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "<in the job's language>",
        "This is the hard negative.",
        "As seen in the positive image, it is red.",
        "The cat in image 2 sleeps.",
        "Task idea: find cats",
    ],
)
def test_prompt_echo_drops(text: str) -> None:
    assert prompt_echo(with_positive(text)) == "prompt_echo"


@pytest.mark.parametrize(
    "text",
    ["A positive mood.", "The image shows a negative trend.", "He was sent home after a test."],
)
def test_prompt_echo_keeps_ordinary_words(text: str) -> None:
    assert prompt_echo(with_positive(text)) is None


def test_an_instruction_may_speak_of_the_query_image() -> None:
    draft = make_draft(None, None, None, "Find an animal related to the one in the query image.")
    assert prompt_echo(make_candidate(draft, "retrieval_i2i")) is None


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m unable to view images.",
        "Sorry, I cannot help with this.",
        "As an AI language model, I do not have eyes.",
        "Lo siento, pero no puedo ayudar con eso.",
        "Je suis désolé, mais je ne peux pas répondre à cette demande.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Извините, но я не могу помочь с этим запросом.",
        "На жаль, я не можу допомогти.",
        "Przepraszam, ale nie mogę pomóc.",
        "Maaf, saya tidak dapat membantu permintaan ini.",
        "Xin lỗi, tôi không thể giúp với yêu cầu này.",
        "عذراً، لا أستطيع المساعدة في ذلك.",
        "متأسفم، نمی‌توانم کمک کنم.",
        "抱歉，我无法协助处理该请求。",
        "申し訳ありませんが、その要求にはお応えできません。",
        "죄송하지만 도와드릴 수 없습니다.",
    ],
)
def test_refusal_drops(text: str) -> None:
    assert refusal(with_positive(text)) == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry I missed your birthday party.",
        "Sorry, we are closed on Sundays.",
        "Lo siento, llegué tarde al cine.",
        "Je suis désolé pour le retard du train.",
        "抱歉，今天的面包卖完了。",
        "She cannot help laughing at the monkey.",
        "As an aid to memory he ties a knot.",
    ],
)
def test_refusal_keeps_ordinary_apologies(text: str) -> None:
    assert refusal(with_positive(text)) is None


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("A red apple.", "a red apple"),
        ("ＡＢＣ", "abc"),
        ("STRASSE", "straße"),
        ("قطة سوداء", "قطة  سوداء."),
        ("三只猫。", "三只猫"),
    ],
)
def test_negative_equals_positive_drops(positive: str, negative: str) -> None:
    assert negative_equals_positive(with_pair(positive, negative)) == "negative_equals_positive"


@pytest.mark.parametrize(
    ("positive", "negative"),
    [("कि", "की"), ("má", "mà"), ("C", "C++"), ("3.5", "35"), ("左", "右"), ("มา", "ม้า")],
)
def test_negative_equals_positive_keeps_one_mark_apart(positive: str, negative: str) -> None:
    assert negative_equals_positive(with_pair(positive, negative)) is None
    assert near_duplicate_negative(with_pair(positive, negative)) is None


def test_negative_equals_query_drops() -> None:
    draft = make_draft(query="Red apples", positive="A fruit stall", negative="red apples.")
    assert negative_equals_query(make_candidate(draft)) == "negative_equals_query"
    assert negative_equals_query(make_candidate(make_draft())) is None


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("كَتَبَ الوَلَدُ", "كتب الولد"),
        ("שָׁלוֹם עולם", "שלום עולם"),
        ("ice cream", "icecream"),
        ("The dog sleeps on the old sofa.", "The dogs sleeps on the old sofa."),
        (
            "An old man reads the morning paper on a bench.",
            "An old man reads the morning paper on a bench. It is a fine day.",
        ),
    ],
)
def test_near_duplicate_negative_drops(positive: str, negative: str) -> None:
    assert near_duplicate_negative(with_pair(positive, negative)) == "near_duplicate_negative"
    assert near_duplicate_negative(with_pair(negative, positive)) == "near_duplicate_negative"


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("cat", "cats"),
        ("The lamp stands to the left of the bed.", "The lamp stands to the right of the bed."),
        ("There are 3 boats in the old harbour.", "There are 13 boats in the old harbour."),
        ("dog chases cat", "cat chases dog"),
        ("red apple", "red apple pie"),
        ("The knot is tied behind the mast.", "The knot is untied behind the mast."),
    ],
)
def test_near_duplicate_negative_keeps_one_word_apart(positive: str, negative: str) -> None:
    assert near_duplicate_negative(with_pair(positive, negative)) is None


def test_lopsided_negative_drops_what_length_gives_away() -> None:
    long = "He feeds the grey pigeons while his dog sleeps beside him on the cold stone steps."
    assert lopsided_negative(with_pair("He reads.", long + " " + long)) == "lopsided_negative"
    assert lopsided_negative(with_pair("A cat", "A small black cat on a mat")) is None


@pytest.mark.parametrize(
    ("cell", "language", "query", "positive", "negative"),
    [
        ("vqa_it2t", "en", "Is the red apple on the left?", "Red apple", "pear"),
        (
            "vqa_it2t",
            "de",
            "Wo liegt der rote Apfel?",
            "roter Apfel.".replace("roter", "rote"),
            "Birne",
        ),
        ("classification_it2t", "ru", "Это кошка на диване", "кошка", "собака"),
        ("classification_it2t", "zh", "这只小猫在睡觉", "小猫", "小狗"),
        ("vqa_it2t", "th", "แมวดำนอนอยู่ที่ไหน", "แมวดำ", "หมาขาว"),
        ("vqa_it2t", "ko", "사과는 어디에 있습니까?", "사과", "배나무"),
        ("vqa_it2t", "tr", "Elmalar nerede duruyor?", "elma", "armut"),
        (
            "retrieval_it2t",
            "en",
            "Golden Gate Bridge at night",
            "Golden Gate Bridge",
            "Tower Bridge",
        ),
        ("retrieval_it2t", "en", "Dog", "dog!", "cat"),
        ("retrieval_it2t", "ja", "黒い猫の写真", "黒い猫", "白い犬"),
    ],
)
def test_answer_leak_drops(
    cell: str, language: str, query: str, positive: str, negative: str
) -> None:
    draft = make_draft(query, positive, negative)
    assert answer_leak(make_candidate(draft, cell, language)) == "answer_leak"


@pytest.mark.parametrize(
    ("cell", "language", "query", "positive", "negative"),
    [
        ("vqa_it2t", "en", "Is the cat black or white?", "Black", "White"),  # a choice
        ("vqa_it2t", "en", "How is the scattered light made?", "cat", "dog"),  # inside a word
        ("vqa_it2t", "zh", "这个人在做什么？", "人", "狗"),
        ("vqa_it2t", "ar", "ما لون السيارة؟", "أحمر", "أزرق"),
        ("retrieval_it2t", "en", "What is the man holding?", "The man holds a cup.", "A spoon."),
        ("retrieval_it2t", "en", "a dog on a sofa", "dog", "cat"),  # one short word
    ],
)
def test_answer_leak_keeps(
    cell: str, language: str, query: str, positive: str, negative: str
) -> None:
    draft = make_draft(query, positive, negative)
    assert answer_leak(make_candidate(draft, cell, language)) is None


def test_answer_leak_looks_into_an_english_instruction() -> None:
    draft = make_draft(None, "sparrow", "finch", "Say that the bird is a sparrow.")
    assert answer_leak(make_candidate(draft, "classification_i2t")) == "answer_leak"
    choice = draft.model_copy(update={"instruction": "Tell whether it is a sparrow or a finch."})
    assert answer_leak(make_candidate(choice, "classification_i2t")) is None


def test_query_repeats_instruction_drops() -> None:
    draft = make_draft(query="Find the red bird", instruction="Find the red bird.")
    assert query_repeats_instruction(make_candidate(draft)) == "query_repeats_instruction"
    assert query_repeats_instruction(make_candidate(make_draft())) is None


def test_report_carries_results_in_order_and_the_first_reason() -> None:
    cell = CELL_BY_NAME["retrieval_it2t"]
    kept = check_revision(cell, "en", make_draft(), make_evaluation(), ChecksConfig())
    assert kept.reason is None
    names = [result.check for result in kept.results]
    assert names == [*(rule.__name__ for rule in RULES), "language"]
    assert {vote.field for vote in kept.votes} >= {"query_text", "positive_text", "instruction"}
    assert all(vote.detected == "en" for vote in kept.votes)

    draft = make_draft(positive="<image> x", negative="<image> X")
    dropped = check_revision(cell, "en", draft, make_evaluation(), ChecksConfig())
    assert dropped.reason == "image_placeholder"
    assert [result.check for result in dropped.results] == names[: len(dropped.results)]


def test_a_row_without_texts_has_only_its_instruction_judged() -> None:
    cell = CELL_BY_NAME["retrieval_i2i"]
    for code in LANGUAGES:
        draft = make_draft(None, None, None, "Find a picture of an animal in the same posture.")
        report = check_revision(cell, code, draft, make_evaluation(), ChecksConfig())
        assert report.reason is None
        assert [vote.field for vote in report.votes] == ["instruction"]
