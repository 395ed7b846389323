"""Claims about what the teacher writes, without a server."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from builder.images.pictograms import Pictogram, load_pictograms
from builder.lexicon_teacher.mistakes import MistakeRates, PlantedLog
from builder.lexicon_teacher.questions import load_questions
from builder.lexicon_teacher.recognise import Recogniser
from builder.lexicon_teacher.request import RequestError
from builder.lexicon_teacher.teacher import LexiconTeacher
from builder.lexicon_teacher.texts import Wording
from schemas.reply import Reply, own_values, reply_model, reply_schema, to_draft
from schemas.reply_fields import ReplyField
from schemas.vocabulary import CELLS, LANGUAGES, Cell
from tests.lexicon_teacher.conftest import MakeRequest

T_TO_I = Cell("retrieval", "T->I")
VQA = Cell("vqa", "IT->T")


@pytest.fixture(scope="module")
def teacher() -> LexiconTeacher:
    return LexiconTeacher(MistakeRates.none(), PlantedLog(None))


def content_of(completion: dict[str, Any]) -> str:
    return completion["choices"][0]["message"]["content"]


def reply_to(teacher: LexiconTeacher, cell: Cell, body: dict[str, Any]) -> Reply:
    return reply_model(cell).model_validate_json(content_of(teacher.complete(body)))


@pytest.mark.parametrize("language", ["en", "fr", "ar", "zh", "hi", "am", "th", "tl", "no", "ka"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_gets_a_reply_of_its_own_keys(
    teacher: LexiconTeacher, make_request: MakeRequest, cell: Cell, language: str
) -> None:
    for seed in range(8):
        content = content_of(teacher.complete(make_request(cell, language, seed)))
        if content.startswith("I'm sorry"):
            assert cell.modality == "T->IT"  # Needs keywords apart from the name.
            continue
        reply = reply_model(cell).model_validate_json(content)
        assert tuple(i.image for i in reply.interpretations) == cell.image_roles
        draft = to_draft(cell, reply.revision)
        assert draft.instruction[0].isupper()
        assert draft.positive_text is None or draft.positive_text != draft.negative_text


def test_fields_of_ones_own_are_filled_as_their_schema_says(
    teacher: LexiconTeacher, make_request: MakeRequest
) -> None:
    fields = (
        ReplyField("tone", "How it sounds.", "enum", ("dry", "warm")),
        ReplyField("source", "Where it is from."),
        ReplyField("weight", "How much it counts.", "number"),
        ReplyField("rank", "Which one it is.", "integer"),
        ReplyField("is_formal", "Whether it is formal.", "boolean"),
        ReplyField("remark", "Whatever else.", "string", (), False),
        ReplyField("only_tone", "One choice.", "enum", ("dry", "dry ")),
    )
    body = make_request(VQA, "fr", 3)
    body["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": True, "schema": reply_schema(VQA, fields)},
    }
    content = content_of(teacher.complete(body))
    reply = reply_model(VQA, fields).model_validate_json(content)
    assert own_values(reply, fields)["tone"] == "dry"
    assert own_values(reply, fields)["remark"] is None


@pytest.mark.parametrize("language", ["eo", "fy", "ku", "mg", "yi"])
def test_no_cell_is_hopeless_in_a_language_without_keywords(
    teacher: LexiconTeacher, make_request: MakeRequest, language: str
) -> None:
    cell = Cell("retrieval", "T->IT")
    known = [pictogram for pictogram in load_pictograms() if language in pictogram.texts][:18]
    for seed, (positive, negative) in enumerate(zip(known[:9], known[9:], strict=True)):
        images = [positive.images[0].content, negative.images[0].content]
        reply = reply_to(teacher, cell, make_request(cell, language, seed, images=images))
        draft = to_draft(cell, reply.revision)
        assert draft.query_text and draft.positive_text
        assert draft.positive_text != draft.negative_text
        assert draft.positive_text not in draft.query_text


def test_text_query_names_the_positive_in_the_language(
    teacher: LexiconTeacher,
    make_request: MakeRequest,
    pairs: list[tuple[Pictogram, Pictogram]],
) -> None:
    for seed in range(20):
        reply = reply_to(teacher, T_TO_I, make_request(T_TO_I, "de", seed, length="short"))
        assert pairs[seed][0].texts["de"].name in reply.revision.query_text


def test_clean_replies_do_not_leak_the_answer(
    teacher: LexiconTeacher, make_request: MakeRequest
) -> None:
    cells = [c for c in CELLS if c.query_has_text and c.document_has_text]
    for seed in range(40):
        for cell in cells:
            content = content_of(teacher.complete(make_request(cell, "es", seed, length="long")))
            if content.startswith("{"):
                draft = to_draft(cell, reply_model(cell).model_validate_json(content).revision)
                assert draft.query_text and draft.positive_text
                assert draft.positive_text.casefold() not in draft.query_text.casefold()


def test_small_talk_is_answered_as_a_chat_server_would(teacher: LexiconTeacher) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Say hello."}]}
    completion = teacher.complete({**body, "max_completion_tokens": 16})
    assert content_of(completion).startswith("Hello")
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] <= 16
    assert completion["usage"]["prompt_tokens"] > 0


def test_same_request_same_bytes_in_a_new_teacher(make_request: MakeRequest) -> None:
    bodies = [make_request(cell, "ru", 11) for cell in CELLS]
    first, second = (
        [LexiconTeacher(MistakeRates(), PlantedLog(None)).complete(body) for body in bodies]
        for _ in range(2)
    )
    assert first == second


def test_instructions_seldom_repeat(teacher: LexiconTeacher, make_request: MakeRequest) -> None:
    written = [
        reply_to(teacher, T_TO_I, make_request(T_TO_I, "en", seed)).revision.instruction
        for seed in range(300)
    ]
    assert len(set(written)) >= 270
    assert not any(" a i" in text or " a e" in text for text in written)
    assert any("for a sticker shop." in text for text in written)


@pytest.mark.parametrize(
    ("length", "keywords"),
    [
        ("short", (0, 1)),
        ("at most 5 words", (0, 1)),
        ("8 to 15 words", (1, 3)),
        ("20 to 40 words", (3, 6)),
        ("two or three sentences", (3, 6)),
        ("", (1, 3)),
    ],
)
def test_length_knob_bounds_the_keywords(length: str, keywords: tuple[int, int]) -> None:
    wording = Wording.from_parameters({"query length": length})
    assert (wording.least, wording.most) == keywords


def test_only_a_hard_job_may_leave_the_name_out() -> None:
    easy, hard = "easy: the hard negative is another thing", "hard: it fails on one detail"
    assert Wording.from_parameters({"difficulty": easy}).names_query
    assert not Wording.from_parameters({"difficulty": hard}).names_query


def test_a_reencoded_drawing_is_still_recognised() -> None:
    recogniser = Recogniser()
    for pictogram in load_pictograms()[::60]:
        for image in pictogram.images:
            out = io.BytesIO()
            with Image.open(io.BytesIO(image.content)) as opened:
                opened.resize((96, 96)).save(out, "JPEG", quality=70)
            found = recogniser.find(out.getvalue())
            assert found is not None
            assert found[0].concept == pictogram.concept


@pytest.mark.parametrize("broken", [b"", b"not an image"])
def test_an_unknown_image_is_refused_in_prose(
    teacher: LexiconTeacher, make_request: MakeRequest, broken: bytes
) -> None:
    body = make_request(VQA, "en", 1, images=[broken])
    assert content_of(teacher.complete(body)).startswith("I'm sorry, but I can't")


def test_a_photograph_is_refused(teacher: LexiconTeacher, make_request: MakeRequest) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(out, "PNG")
    body = make_request(VQA, "en", 1, images=[out.getvalue()])
    assert "do not recognise the query image" in content_of(teacher.complete(body))


def test_a_language_without_words_is_refused_not_answered_in_english(
    teacher: LexiconTeacher, make_request: MakeRequest
) -> None:
    assert "no words" in content_of(teacher.complete(make_request(T_TO_I, "la", 1)))
    i_to_i = Cell("retrieval", "I->I")
    assert content_of(teacher.complete(make_request(i_to_i, "la", 1))).startswith("{")


def test_same_concept_as_positive_and_negative_is_refused(
    teacher: LexiconTeacher,
    make_request: MakeRequest,
    pairs: list[tuple[Pictogram, Pictogram]],
) -> None:
    images = [image.content for image in pairs[1][0].images[:2]]
    assert "same thing" in content_of(
        teacher.complete(make_request(T_TO_I, "en", 1, images=images))
    )


def test_every_language_has_three_distinct_questions() -> None:
    questions = load_questions()
    assert set(questions) == set(LANGUAGES)
    assert all(len(set(kinds.values())) == 3 for kinds in questions.values())
    shared = Counter(kinds["shows"] for kinds in questions.values())
    assert max(shared.values()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Language: English (en)", "Language: Klingon (xx)"), "unknown language"),
        (("Seed: 1\n", ""), "no `Seed:` line"),
        (("Images: positive, negative", "Images: positive"), "names 1 roles but 2 images"),
        (("T->I", "T->T"), "no cell 'retrieval' 'T->T'"),
    ],
)
def test_a_request_that_cannot_be_read_says_what_it_lacks(
    teacher: LexiconTeacher, make_request: MakeRequest, change: tuple[str, str], message: str
) -> None:
    body = make_request(T_TO_I, "en", 1)
    part = body["messages"][1]["content"][0]
    assert change[0] in part["text"]
    part["text"] = part["text"].replace(*change)
    with pytest.raises(RequestError, match=message.replace(">", ".")):
        teacher.complete(body)


def test_max_tokens_cuts_the_reply(teacher: LexiconTeacher, make_request: MakeRequest) -> None:
    completion = teacher.complete({**make_request(T_TO_I, "en", 1), "max_tokens": 50})
    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 50


def test_no_planted_file_is_made_without_mistakes(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    path = tmp_path / "planted.jsonl"
    LexiconTeacher(MistakeRates.none(), PlantedLog(path)).complete(make_request(VQA, "en", 3))
    assert not path.exists()
