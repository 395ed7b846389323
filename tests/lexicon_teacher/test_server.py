"""A real server on loopback, asked by the real client."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from builder.lexicon_teacher import MODEL, MistakeRates, running_teacher
from schemas.reply import reply_model
from schemas.vocabulary import CELLS, Cell
from tests.lexicon_teacher.conftest import MakeRequest


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_teacher(rates=MistakeRates.none(), api_key="right") as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="right", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_client_gets_a_valid_reply(
    client: openai.OpenAI, make_request: MakeRequest, cell: Cell
) -> None:
    completion = client.chat.completions.create(**make_request(cell, "en", 5))
    choice = completion.choices[0]
    assert choice.message.content is not None
    reply_model(cell).model_validate_json(choice.message.content)
    assert (choice.finish_reason, completion.model) == ("stop", MODEL)
    assert completion.usage is not None
    assert completion.usage.prompt_tokens >= 85 * len(cell.image_roles)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]


def test_a_request_without_parameters_is_a_400_that_says_so(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"no `Modality combination:` line"):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Task type: retrieval"}]
        )


def test_a_wrong_key_is_a_401(url: str) -> None:
    with (
        openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
    ):
        client.models.list()


def test_the_command_announces_its_port_and_ends_when_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "builder", "teacher", "--port", "0"]
    with subprocess.Popen(
        [*command, "--planted", str(tmp_path / "p.jsonl")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with openai.OpenAI(base_url=url, api_key="any") as client:
            assert [model.id for model in client.models.list()] == [MODEL]
        process.terminate()
        printed, _ = process.communicate(timeout=20)
    assert (process.returncode, printed.strip()) == (0, "")


def test_a_taken_port_is_one_clear_line(url: str) -> None:
    port = url.removesuffix("/v1").rpartition(":")[2]
    command = [sys.executable, "-m", "builder", "teacher", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot serve on 127.0.0.1:{port}")
    assert "Choose another --port" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("port", "bound"), [("-1", "0 or more"), ("65536", "65535 or less")])
def test_a_port_that_cannot_be_is_refused_by_its_option(port: str, bound: str) -> None:
    command = [sys.executable, "-m", "builder", "teacher", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert f"must be {bound}." in done.stderr
    assert "Traceback" not in done.stderr
