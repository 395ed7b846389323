"""The answer is found in whatever dress it comes: thoughts, prose, other fields of the message."""

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.endpoint.completion import Completion, Usage, read_completion
from builder.generate.answer_text import find_objects, find_thoughts, without
from builder.generate.reply import Read, Unreadable, read_evaluation, read_reply
from schemas.vocabulary import Cell
from tests.generate.replies import Asked, valid_evaluation, valid_reply

CELL = Cell("retrieval", "IT->IT")
ASKED = Asked(
    "Task type: retrieval\nModality combination: IT->IT\nLanguage: Japanese (ja)\nSeed: 12345"
)
REPLY = valid_reply(ASKED)
TEXT = orjson.dumps(REPLY).decode()
#: A whole reply, as a model may draft one in its thoughts.
DRAFT = orjson.dumps(
    {**REPLY, "revision": {**REPLY["revision"], "instruction": "A draft."}}
).decode()
THOUGHT = (
    f'The user wants {{one}} object, such as {{"interpretations": [...]}} or {DRAFT}, I think.'
)

#: How families of models and servers dress an answer: thought -> what stands before the answer.
DRESSES: dict[str, Callable[[str], str]] = {
    "deepseek, qwen": lambda thought: f"<think>\n{thought}\n</think>\n\n",
    "beginning in the template": lambda thought: f"{thought}\n</think>\n\n",
    "several blocks": lambda thought: f"<think>{thought}</think>Now:<think>{thought}</think>",
    "a mark named in a thought": lambda thought: f"<think>no <think> here {thought}</think>",
    "kimi": lambda thought: f"◁think▷{thought}◁/think▷",
    "kimi k3": lambda thought: f"<|open|>think<|sep|>{thought}<|close|>think<|sep|>",
    "magistral": lambda thought: f"[THINK]{thought}[/THINK]",
    "seed": lambda thought: f"<seed:think>{thought}</seed:think>",
    "gemma": lambda thought: f"<|channel>thought\n{thought}<channel|>",
    "granite": lambda thought: f"Here is my thought process: {thought}\nHere is my response: ",
    "cohere": lambda thought: f"<|START_THINKING|>{thought}<|END_THINKING|><|START_RESPONSE|>",
    "hunyuan": lambda thought: f"<think>{thought}</think>\n<answer>",
    "apertus": lambda thought: f"<|inner_prefix|>{thought}<|inner_suffix|>",
    "capitals": lambda thought: f"<Thinking>{thought}</Thinking>",
    "gpt-oss": lambda thought: (
        f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant"
        "<|channel|>final <|constrain|>json<|message|>"
    ),
    "gpt-oss, two analyses": lambda thought: (
        f"<|channel|>analysis<|message|>{thought}<|end|><|channel|>commentary<|message|>{thought}"
        "<|end|><|channel|>final<|message|>"
    ),
    "gpt-oss without its tokens": lambda thought: f"analysis{thought}assistantfinal",
}


def completion(content: str, finish_reason: str | None = "stop") -> Completion:
    return Completion(content, finish_reason, None, Usage())


def read(content: str, finish_reason: str | None = "stop") -> Read | Unreadable:
    return read_reply(CELL, completion(content, finish_reason))


def instruction_of(found: Read | Unreadable) -> str:
    assert isinstance(found, Read), found
    return found.value.revision.instruction


@pytest.mark.parametrize("wrap", ["{}", "```json\n{}\n```", "Here it is: {} Done.", "{}</answer>"])
@pytest.mark.parametrize("dress", DRESSES)
def test_the_answer_behind_a_thought_is_read_not_the_draft_in_it(dress: str, wrap: str) -> None:
    found = read(DRESSES[dress](THOUGHT) + wrap.replace("{}", TEXT))
    assert instruction_of(found) == REPLY["revision"]["instruction"]
    assert isinstance(found, Read)
    assert not found.repaired


@pytest.mark.parametrize("dress", DRESSES)
def test_the_answer_behind_a_thought_is_repaired_alone(dress: str) -> None:
    found = read(DRESSES[dress](THOUGHT) + TEXT[:-2] + ",}}")
    assert instruction_of(found) == REPLY["revision"]["instruction"]
    assert isinstance(found, Read)
    assert found.repaired


@pytest.mark.parametrize("dress", DRESSES)
def test_a_truncated_answer_is_not_replaced_by_the_draft_before_it(dress: str) -> None:
    for finish_reason in ("stop", "length", None):
        found = read(DRESSES[dress](THOUGHT) + TEXT[:700], finish_reason)
        assert isinstance(found, Unreadable)
        assert found.reason == "truncated"


@pytest.mark.parametrize("dress", DRESSES)
def test_a_judges_thought_is_left_out_too(dress: str) -> None:
    draft = orjson.dumps(valid_evaluation(1)).decode()
    text = DRESSES[dress](f"Perhaps {draft}?") + orjson.dumps(valid_evaluation(4)).decode()
    found = read_evaluation(completion(text))
    assert isinstance(found, Read)
    assert found.value.relevance.score == 4


def test_without_marks_the_last_object_that_fits_is_the_answer() -> None:
    text = f'First {DRAFT}\nNo, better: {TEXT}\nI used {{braces}} and {{"a": 1}}.'
    assert instruction_of(read(text)) == REPLY["revision"]["instruction"]


def test_an_answer_left_inside_a_thought_is_read() -> None:
    for text in (f"<think>{TEXT}", f"<think>{TEXT}</think>", f"{TEXT}</think>"):
        assert instruction_of(read(text)) == REPLY["revision"]["instruction"]


def test_marks_inside_a_text_are_text() -> None:
    reply = orjson.loads(TEXT)
    reply["revision"]["query_text"] = "A sign: </think> and <think> {here}"
    text = orjson.dumps(reply).decode()
    for content in (text, f"Here: {text}", f"<think>Hm.</think>{text}", f"Hm.</think>\n{text}"):
        found = read(content)
        assert isinstance(found, Read), content[:40]
        assert found.value.revision.query_text == reply["revision"]["query_text"]


def test_what_is_wrong_with_an_object_in_prose_is_said() -> None:
    found = read('Here: {"answer": 42}.')
    assert isinstance(found, Unreadable)
    assert found.reason == "wrong_fields"
    twice = TEXT.replace('"general":', '"general":"first","general":', 1)
    found = read(f"```json\n{twice}\n```")
    assert isinstance(found, Unreadable)
    assert found.reason == "duplicate_key"


ENDED = """stop STOP eos eos_token end_turn stop_sequence tool_calls done COMPLETE endoftext
FINISH_REASON_STOP completed"""
CUT_OFF = """length max_tokens MAX_TOKENS model_length max_output_tokens token_limit
model_context_window_exceeded incomplete maxTokens truncated"""

HOSTILE = {
    "open braces": "{" * 100_000,
    "pairs": "{}" * 60_000,
    "nested": "{" * 50_000 + "}" * 50_000,
    "nested, short": "{" * 30_000 + "}" * 30_000,
    "keys": '{"a":' * 40_000,
    "keys that break at the end": '{"a":' * 900 + "1" * 300_000 + " x" + '{"a":' * 900,
    "rising": '{"a":[' * 400 + ("1," * 400 + "{") * 400,
    "quotes": '{"' * 60_000,
    "brackets": '{"a":' + "[" * 30_000 + "]" * 30_000 + "}",
    "marks": "<think>{</think>" * 30_000,
    "half marks": "<seed:seed:" * 40_000,
    "channels": "<|channel|>analysis" * 25_000,
    "fences": "```json\n{" * 50_000,
    "objects": '{"a":"' + "b" * 200 + '"}' + '{"a":"' + "b" * 200 + '"}' * 2_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_takes_long_to_refuse(name: str) -> None:
    started = time.process_time()
    for finish_reason in ("stop", None):
        assert isinstance(read(HOSTILE[name], finish_reason), Unreadable)
    assert time.process_time() - started < 3.0


@given(st.lists(st.sampled_from([*'{}[]"\\:,a1 \n', "<think>", "</think>", TEXT]), max_size=60))
def test_found_objects_are_objects_and_apart(parts: list[str]) -> None:
    text = "".join(parts)
    end = 0
    for start, stop in find_objects(text).spans:
        assert start >= end
        assert isinstance(orjson.loads(text[start:stop]), dict)
        end = stop
    thoughts = find_thoughts(text)
    assert len(without(text, thoughts)) <= len(text)
    assert sorted(thoughts) == thoughts


# --- other fields of a message, finish reasons, tokens ---


def body(message: Any, finish_reason: Any = "stop", **envelope: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    return orjson.dumps({"choices": [choice], "usage": usage, **envelope})


def call(arguments: Any) -> list[dict[str, Any]]:
    function = {"name": "reply", "arguments": arguments}
    return [{"id": "call_1", "type": "function", "function": function}]


MESSAGES: dict[str, Any] = {
    "reasoning_content": {"content": None, "reasoning_content": f"<think>{TEXT}"},
    "reasoning": {"content": "", "reasoning": f"I shall write {{this}}: {TEXT}"},
    "reasoning details": {
        "content": None,
        "reasoning_details": [{"type": "reasoning.text", "text": TEXT}],
    },
    "tool call": {"content": None, "tool_calls": call(TEXT)},
    "tool call beside words": {"content": "I call the tool.", "tool_calls": call(TEXT)},
    "tool call as an object": {"content": None, "tool_calls": call(REPLY)},
    "function call": {"content": None, "function_call": {"name": "r", "arguments": TEXT}},
    "parsed": {"content": None, "parsed": REPLY, "refusal": None},
    "content as an object": {"content": REPLY},
    "text parts": {"content": [{"type": "text", "text": TEXT[:90]}, {"text": TEXT[90:]}]},
    "thinking part": {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": f"Hm {DRAFT}"}]},
            {"type": "text", "text": TEXT},
        ]
    },
    "reasoning part": {"content": [{"type": "reasoning", "text": DRAFT}, {"text": TEXT}]},
    "tool use part": {"content": [{"type": "tool_use", "name": "reply", "input": REPLY}]},
}


@pytest.mark.parametrize("name", MESSAGES)
def test_an_answer_in_another_field_is_read(name: str) -> None:
    found = read_reply(CELL, read_completion(body({"role": "assistant", **MESSAGES[name]})))
    assert instruction_of(found) == REPLY["revision"]["instruction"]


def test_the_text_of_an_older_completion_is_read() -> None:
    raw = orjson.dumps({"choices": [{"text": TEXT, "finish_reason": "stop"}]})
    assert isinstance(read_reply(CELL, read_completion(raw)), Read)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": None, "reasoning_content": "Let me think {about} it."}, "only_reasoning"),
        ({"content": "", "reasoning": "Hm."}, "only_reasoning"),
        ({"content": [{"type": "thinking", "thinking": "Hm."}]}, "only_reasoning"),
        ({"content": None, "tool_calls": call("{}")}, "only_tool_call"),
        ({"content": None, "refusal": None}, "empty_content"),
        ({"content": None, "refusal": "No.", "reasoning": TEXT}, "refusal"),
    ],
)
def test_a_reply_without_an_answer_says_where_it_went(message: Any, reason: str) -> None:
    found = read_reply(CELL, read_completion(body({"role": "assistant", **message})))
    assert found == Unreadable(reason)


@pytest.mark.parametrize("said", ENDED.split())
def test_a_reply_that_ended_by_itself_may_be_repaired_whatever_it_is_called(said: str) -> None:
    found = read_reply(CELL, read_completion(body({"content": TEXT[:-2] + ",}}"}, said)))
    assert isinstance(found, Read)
    assert found.repaired


@pytest.mark.parametrize("said", CUT_OFF.split())
def test_a_truncated_reply_is_never_read_whatever_it_is_called(said: str) -> None:
    for text in (TEXT, TEXT[:-2] + ",}}", TEXT[:500]):
        found = read_reply(CELL, read_completion(body({"content": text}, said)))
        assert found == Unreadable("truncated")


@pytest.mark.parametrize("said", [None, "", "error", "abort", "OTHER", 7, {"a": 1}])
def test_without_a_known_reason_a_complete_object_counts_and_a_broken_one_does_not(
    said: Any,
) -> None:
    assert isinstance(read_reply(CELL, read_completion(body({"content": TEXT}, said))), Read)
    broken = read_reply(CELL, read_completion(body({"content": TEXT[:-2] + ",}}"}, said)))
    assert isinstance(broken, Unreadable)
    assert broken.reason == "not_json"


@pytest.mark.parametrize("said", ["content_filter", "SAFETY", "PROHIBITED_CONTENT", "refusal"])
def test_a_filtered_reply_is_named_so(said: str) -> None:
    assert read_completion(body({"content": None}, said)).problem == "content_filter"


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 123.0, "completion_tokens": 45.0}, (123, 45)),
        ({"prompt_tokens": "123", "completion_tokens": 44.2}, (123, 45)),
        ({"input_tokens": 123, "output_tokens": 45}, (123, 45)),
        ({"prompt_tokens": 123, "completion_tokens": 45, "total_tokens": 268}, (123, 145)),
        ({"prompt_tokens": True, "completion_tokens": -3}, (0, 0)),
        ({"prompt_tokens": float(2**40), "completion_tokens": None}, (0, 0)),
        (None, (0, 0)),
    ],
)
def test_tokens_are_counts_however_they_are_written(usage: Any, counted: tuple[int, int]) -> None:
    found = read_completion(body({"content": TEXT}, usage=usage)).usage
    assert (found.prompt_tokens, found.completion_tokens) == counted


@pytest.mark.parametrize(
    ("raw", "is_billed"),
    [
        (b"<html>", False),
        (b'{"error": {"code": 429}}', False),
        (b'{"choices": []}', False),
        (b'{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}', True),
        (body({"content": "x"}, usage=None), True),
    ],
)
def test_nobody_bills_an_answer_without_choices_and_tokens(raw: bytes, is_billed: bool) -> None:
    assert read_completion(raw).is_billed is is_billed
