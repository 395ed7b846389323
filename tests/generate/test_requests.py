"""Requests as they are sent: which text stands where, and which picture after which label."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from builder.config import TeacherConfig
from builder.endpoint.capabilities import Capabilities
from builder.endpoint.requests import RequestFactory
from builder.images.store import ImageStore
from builder.job import Job
from builder.lexicon_teacher.request import parse_request
from builder.prompts import render_judge, render_prompt
from schemas.sample import Draft
from schemas.vocabulary import CELLS, Cell


@pytest.fixture
def store(images: Path) -> Iterator[ImageStore]:
    with ImageStore(images) as opened:
        yield opened


def make_job(cell: Cell, store: ImageStore) -> Job:
    names = [record.sha256 for record in store.records()]
    return Job(
        id="0" * 24,
        round=0,
        index=0,
        cell=cell,
        language="fr",
        seed=7,
        images=tuple(names[: len(cell.image_roles)]),
        length="8 to 15 words",
        difficulty="medium",
        text_register="casual",
        task_idea="tell goods apart",
    )


def make_factory(store: ImageStore) -> RequestFactory:
    return RequestFactory(TeacherConfig(), lambda sha256: store.data_url(sha256, 1024))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_image_stands_right_after_its_label_and_after_all_parameters(
    cell: Cell, store: ImageStore
) -> None:
    job, factory = make_job(cell, store), make_factory(store)
    judged = Draft(instruction="Find it.", positive_text="un", negative_text="deux")
    requests = (
        factory.sample(job, render_prompt(job)),
        factory.judge(job, render_judge(job, judged)),
    )
    for request in requests:
        body = orjson.loads(factory.body(request, Capabilities()))
        assert [message["role"] for message in body["messages"]] == ["system", "user"]
        parameters, *parts = body["messages"][1]["content"]
        assert parameters["text"].startswith("Task type: ")
        wanted: list[dict[str, Any]] = []
        for role, sha256 in zip(cell.image_roles, job.images, strict=True):
            wanted.append({"type": "text", "text": f"{role} image:"})
            url = store.data_url(sha256, 1024)
            wanted.append({"type": "image_url", "image_url": {"url": url}})
        assert parts == wanted


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_lexicon_teacher_reads_what_is_sent(cell: Cell, store: ImageStore) -> None:
    job, factory = make_job(cell, store), make_factory(store)
    body = factory.body(factory.sample(job, render_prompt(job)), Capabilities())
    read = parse_request(orjson.loads(body))
    assert (read.cell, read.language, read.seed) == (cell, "fr", "7")
    pictures = [store.read(sha256).data for sha256 in job.images]
    assert read.images == tuple(zip(cell.image_roles, pictures, strict=True))
    parameters = {"difficulty", "task idea"}
    parameters |= {"query length"} if cell.query_has_text else set()
    parameters |= {"register"} if cell.query_has_text or cell.document_has_text else set()
    assert set(read.parameters) == parameters


def test_a_correction_shows_the_answer_and_what_is_wrong_with_it(store: ImageStore) -> None:
    cell = CELLS[-1]
    job, factory = make_job(cell, store), make_factory(store)
    prompt = render_prompt(job)
    asked = factory.sample(job, prompt)
    again = factory.correction(asked, prompt, "not JSON", "Reply again.")
    body = orjson.loads(factory.body(again, Capabilities()))
    first = orjson.loads(factory.body(asked, Capabilities()))
    assert body["messages"][:2] == first["messages"]
    assert [message["content"] for message in body["messages"][2:]] == ["not JSON", "Reply again."]
    assert body["response_format"] == first["response_format"]
    assert again.key != asked.key


@pytest.mark.parametrize(
    ("answer", "shown"),
    [('{"interpretations":' + "\n" * 9000, '{"interpretations":'), (" " * 9000, "(white space)")],
)
def test_an_answer_flooded_with_white_space_is_asked_for_again_without_a_schema(
    answer: str, shown: str, store: ImageStore
) -> None:
    job, factory = make_job(CELLS[-1], store), make_factory(store)
    prompt = render_prompt(job)
    asked = factory.sample(job, prompt)
    again = factory.correction(asked, prompt, answer, "Reply again.")
    for capabilities in (Capabilities(), Capabilities("json_object")):
        assert "response_format" in orjson.loads(factory.body(asked, capabilities))
        body = orjson.loads(factory.body(again, capabilities))
        assert "response_format" not in body
        assert body["messages"][2] == {"role": "assistant", "content": shown}
