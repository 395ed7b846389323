"""The lexicon judge chooses what the drawing shows, finds synonyms among negatives, and may err."""

import io
from typing import Any

import orjson
import pytest
from PIL import Image

from builder.images.pictograms import Pictogram
from builder.lexicon_teacher.mistakes import MistakeRates, PlantedLog
from builder.lexicon_teacher.request import RequestError
from builder.lexicon_teacher.teacher import LexiconTeacher
from builder.prompts import Templates, render_judge
from builder.prompts.choices import render_choice
from schemas.choice import Choice
from schemas.sample import Draft, Evaluation, Sample, sample_id
from schemas.vocabulary import Cell
from tests.generate.replies import LANGUAGES as _SOME_LANGUAGES
from tests.lexicon_teacher.conftest import data_url
from tests.prompts.test_render import make_job

Pairs = list[tuple[Pictogram, Pictogram]]
_LANGUAGES = sorted(_SOME_LANGUAGES)


@pytest.fixture(scope="module")
def teacher() -> LexiconTeacher:
    return LexiconTeacher(MistakeRates.none(), PlantedLog(None))


def label_sample(language: str, positive: str, negative: str) -> Sample:
    content: dict[str, Any] = {
        "language": language,
        "task_type": "classification",
        "modality": "I->T",
        "instruction": "Name what the picture shows.",
        "query_text": None,
        "query_image": "a" * 64,
        "positive_text": positive,
        "positive_image": None,
        "negative_texts": (negative,),
        "negative_images": (None,),
    }
    scores = dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 5)
    return Sample.model_validate({**content, **scores, "id": sample_id(content)})


def body(prompt: Any, *images: bytes) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": prompt.user}]
    for label, image in zip(prompt.image_labels, images, strict=True):
        parts.append({"type": "text", "text": label})
        parts.append({"type": "image_url", "image_url": {"url": data_url(image)}})
    messages = [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": parts},
    ]
    return {"model": "any", "messages": messages}


def choose(teacher: LexiconTeacher, sample: Sample, image: bytes) -> Choice:
    prompt = render_choice(Templates(), sample, (1, 0))  # the positive is shown second
    reply = teacher.complete(body(prompt, image))["choices"][0]["message"]["content"]
    return Choice.model_validate_json(reply)


def cases(pairs: Pairs) -> list[tuple[str, Pictogram, Pictogram]]:
    return [
        (_LANGUAGES[number % len(_LANGUAGES)], one, other)
        for number, (one, other) in enumerate(pairs)
    ]


def test_it_chooses_what_the_drawing_shows_and_errs_now_and_then(
    teacher: LexiconTeacher, pairs: Pairs
) -> None:
    hits = 0
    for language, one, other in cases(pairs):
        right, wrong = one.texts[language].name, other.texts[language].name
        choice = choose(teacher, label_sample(language, right, wrong), one.images[0].content)
        hits += choice.best == 2 and not choice.also_right
    assert 0.9 <= hits / len(pairs) < 1


def test_it_calls_a_synonym_right_as_well_or_prefers_it(
    teacher: LexiconTeacher, pairs: Pairs
) -> None:
    caught = num = 0
    for language, one, _ in cases(pairs):
        words = one.texts[language]
        synonyms = [word for word in words.keywords if word.casefold() != words.name.casefold()]
        if not synonyms:
            continue
        sample = label_sample(language, words.name, synonyms[0])
        choice = choose(teacher, sample, one.images[0].content)
        caught += choice.best == 1 or 1 in choice.also_right
        num += 1
    assert num > 100 and caught / num > 0.9


def test_a_label_of_something_else_scores_one_and_so_does_a_negative_that_is_right(
    teacher: LexiconTeacher, pairs: Pairs
) -> None:
    def scores(positive: str, negative: str, language: str, image: bytes) -> Evaluation:
        draft = Draft(instruction="Name it.", positive_text=positive, negative_text=negative)
        prompt = render_judge(make_job(Cell("classification", "I->T"), language), draft)
        reply = teacher.complete(body(prompt, image))["choices"][0]["message"]["content"]
        return Evaluation.model_validate_json(reply)

    for language, one, other in cases(pairs)[:40]:
        words, others = one.texts[language], other.texts[language]
        image = one.images[0].content
        sound = scores(words.name, others.name, language, image)
        assert min(sound.relevance.score, sound.plausibility.score) >= 4
        assert scores(others.name, words.name, language, image).relevance.score == 1
        if words.keywords:
            swapped = scores(words.name, words.keywords[0], language, image)
            assert swapped.plausibility.score == 1


def test_a_picture_it_does_not_know_is_refused_in_words(teacher: LexiconTeacher) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(buffer, "PNG")
    prompt = render_choice(Templates(), label_sample("en", "kite", "ball"), (0, 1))
    reply = teacher.complete(body(prompt, buffer.getvalue()))["choices"][0]["message"]["content"]
    assert reply.startswith("I'm sorry") and "query image" in reply


@pytest.mark.parametrize("candidates", ["", "{}", "[1]", "[{"])
def test_candidates_that_are_no_list_of_objects_are_refused(
    teacher: LexiconTeacher, candidates: str
) -> None:
    lines = ["Task type: vqa", "Language: English (en)", "Images: none", "Query: {}"]
    user = "\n".join([*lines, f"Candidates: {candidates}"])
    asked = {"model": "any", "messages": [{"role": "user", "content": user}]}
    with pytest.raises(RequestError, match="JSON"):
        teacher.complete(asked)


def test_the_same_request_gets_the_same_choice(teacher: LexiconTeacher, pairs: Pairs) -> None:
    one, other = pairs[0]
    sample = label_sample("en", one.texts["en"].name, other.texts["en"].name)
    answers = {choose(teacher, sample, one.images[0].content).model_dump_json() for _ in range(3)}
    assert len(answers) == 1
    assert orjson.loads(answers.pop())["reason"]
