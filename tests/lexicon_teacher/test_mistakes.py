"""Claims about mistakes made on purpose: their rates, their kinds, their notes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builder.lexicon_teacher.mistakes import MistakeRates, PlantedLog, read_planted
from builder.lexicon_teacher.teacher import LexiconTeacher
from schemas.reply import draft_names, reply_model
from schemas.vocabulary import Cell
from tests.lexicon_teacher.conftest import MakeRequest

I_TO_T = Cell("retrieval", "I->T")
VQA = Cell("vqa", "IT->T")


def only(mistake: str) -> MistakeRates:
    return MistakeRates(**{**_zero(), mistake: 1.0})


def _zero() -> dict[str, float]:
    return dict.fromkeys(MistakeRates.__dataclass_fields__, 0.0)


def ask(
    path: Path, rates: MistakeRates, body: dict[str, Any]
) -> tuple[str, str, list[dict[str, Any]]]:
    completion = LexiconTeacher(rates, PlantedLog(path)).complete(body)
    choice = completion["choices"][0]
    return choice["message"]["content"], choice["finish_reason"], list(read_planted(path))


def test_observed_rates_are_the_stated_ones() -> None:
    rates = MistakeRates()
    drawn = Counter(rates.draw(f"{seed}|vqa|fr") for seed in range(20_000))
    for name in _zero():
        assert drawn[name] / 20_000 == pytest.approx(getattr(rates, name), abs=0.005)
    assert drawn[None] / 20_000 == pytest.approx(1 - rates.total, abs=0.01)


def test_served_replies_carry_about_the_stated_share(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    path = tmp_path / "planted.jsonl"
    teacher = LexiconTeacher(MistakeRates(), PlantedLog(path))
    for seed in range(2_000):
        teacher.complete(make_request(VQA, "fr", seed))
    counts = Counter(planted["mistake"] for planted in read_planted(path))
    assert set(counts) == set(_zero())
    assert 0.05 <= counts.total() / 2_000 <= 0.12


@pytest.mark.parametrize("mistake", ["broken_json", "truncated"])
def test_broken_replies_are_not_json_but_their_note_is_whole(
    tmp_path: Path, make_request: MakeRequest, mistake: str
) -> None:
    for seed in range(6):
        path = tmp_path / f"{seed}.jsonl"
        content, finish_reason, planted = ask(path, only(mistake), make_request(VQA, "fr", seed))
        with pytest.raises(json.JSONDecodeError):
            json.loads(content)
        assert finish_reason == ("length" if mistake == "truncated" else "stop")
        assert set(planted[0]["correct"]) == {"instruction", "question", "answer", "wrong_answer"}


@pytest.mark.parametrize(
    ("mistake", "changed"),
    [
        ("answer_leak", {"query_text"}),
        ("wrong_concept", {"positive_text"}),
        ("swapped_negative", {"negative_text"}),
    ],
)
def test_a_content_mistake_changes_one_text_and_notes_the_right_one(
    tmp_path: Path, make_request: MakeRequest, mistake: str, changed: set[str]
) -> None:
    seen = 0
    for seed in range(10):
        path = tmp_path / f"{seed}.jsonl"
        content, _, planted = ask(path, only(mistake), make_request(VQA, "fr", seed))
        revision = reply_model(VQA).model_validate_json(content).revision.model_dump()
        if planted:
            seen += 1
            correct = planted[0]["correct"]
            names = {draft_names(VQA)[field] for field in changed}
            assert {name for name in revision if revision[name] != correct[name]} == names
            assert (planted[0]["seed"], planted[0]["mistake"]) == (str(seed), mistake)
    assert seen >= 5


def test_a_leaked_answer_stands_in_the_question(tmp_path: Path, make_request: MakeRequest) -> None:
    content, _, _ = ask(tmp_path / "p.jsonl", only("answer_leak"), make_request(VQA, "fr", 2))
    revision = json.loads(content)["revision"]
    assert revision["answer"] in revision["question"]


def test_wrong_language_writes_other_words(tmp_path: Path, make_request: MakeRequest) -> None:
    content, _, planted = ask(
        tmp_path / "p.jsonl", only("wrong_language"), make_request(I_TO_T, "ka", 2)
    )
    revision = json.loads(content)["revision"]
    assert revision["positive_text"] != planted[0]["correct"]["positive_text"]
    assert planted[0]["detail"].startswith("written in ")


def test_a_cell_without_room_for_a_mistake_gets_none(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    _, _, planted = ask(
        tmp_path / "p.jsonl", only("answer_leak"), make_request(Cell("retrieval", "I->I"), "fr", 2)
    )
    assert not planted


def test_a_job_asked_twice_is_noted_once(tmp_path: Path, make_request: MakeRequest) -> None:
    path, body = tmp_path / "p.jsonl", make_request(VQA, "fr", 2)
    first, _, _ = ask(path, only("answer_leak"), body)
    second, _, planted = ask(path, only("answer_leak"), body)
    assert first == second
    assert len(planted) == 1


def test_a_corrective_request_gets_a_whole_reply(tmp_path: Path, make_request: MakeRequest) -> None:
    body = make_request(VQA, "fr", 2)
    broken, _, _ = ask(tmp_path / "p.jsonl", only("broken_json"), body)
    body["messages"] += [
        {"role": "assistant", "content": broken},
        {"role": "user", "content": "Your reply could not be used: not JSON. Reply again."},
    ]
    mended, _, _ = ask(tmp_path / "p.jsonl", only("broken_json"), body)
    reply_model(VQA).model_validate_json(mended)


@pytest.mark.parametrize("rates", [{"broken_json": -0.1}, {"broken_json": 0.6, "truncated": 0.6}])
def test_impossible_rates_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="mistake rates"):
        MistakeRates(**rates)


@pytest.mark.parametrize("num_bytes_lost", [1, 10])
def test_a_line_left_unfinished_is_passed_over_and_written_anew(
    tmp_path: Path, make_request: MakeRequest, num_bytes_lost: int
) -> None:
    path = tmp_path / "planted.jsonl"
    teacher = LexiconTeacher(only("wrong_concept"), PlantedLog(path))
    for seed in range(3):
        teacher.complete(make_request(VQA, "hi", seed))
    written = list(read_planted(path))
    assert len(written) == 3
    content = path.read_bytes()
    for cut in (len(content) - num_bytes_lost, content.rindex("\u0939".encode()[:1]) + 1):
        path.write_bytes(content[:cut])
        assert list(read_planted(path)) == written[:-1]
    _, _, planted = ask(path, only("wrong_concept"), make_request(VQA, "hi", 2))
    assert planted == written
    assert path.read_bytes() == content
