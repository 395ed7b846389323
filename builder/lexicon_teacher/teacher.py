"""Answer one chat completion request from the lexicon; what the server does, without the server."""

from hashlib import sha256
from typing import Any

from builder.lexicon_teacher.compose import compose_reply
from builder.lexicon_teacher.judging import judge
from builder.lexicon_teacher.lexicon import Lexicon, bundled_lexicon
from builder.lexicon_teacher.mistakes import Answer, MistakeRates, PlantedLog, plant, write_json
from builder.lexicon_teacher.own_fields import own_fields
from builder.lexicon_teacher.recognise import Recogniser
from builder.lexicon_teacher.request import (
    JudgeRequest,
    TeacherRequest,
    parse_judge_request,
    parse_request,
    read_max_tokens,
    read_small_talk,
)
from builder.lexicon_teacher.scene import CannotAnswerError, set_scene

MODEL = "lexicon-teacher"
_CHARS_PER_TOKEN = 4
_TOKENS_PER_IMAGE = 85
_GREETING = "Hello. I write samples from a lexicon."


class LexiconTeacher:
    """Recognises bundled pictograms and writes about them with CLDR names and keywords.

    It is no language model: texts are composed from a lexicon by rule, and scores are drawn.

    Args:
        rates: Rates of the mistakes.
        planted: Records each planted mistake.
        recogniser: Recognises the drawings; those of the bundled corpus by default.
        lexicon: Has the words; those of the bundled corpus by default.
    """

    def __init__(
        self,
        rates: MistakeRates,
        planted: PlantedLog,
        recogniser: Recogniser | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        self._rates = rates
        self._planted = planted
        self._recogniser = recogniser or Recogniser()
        self._lexicon = lexicon or bundled_lexicon()

    def complete(self, body: Any) -> dict[str, Any]:
        """Answers a decoded request body with a decoded response body.

        Raises:
            RequestError: If the request cannot be read.
        """
        small_talk = read_small_talk(body)
        if small_talk is not None:
            num_prompt_tokens = len(small_talk) // _CHARS_PER_TOKEN + 1
            limit = read_max_tokens(body)
            return _completion(small_talk, _GREETING, False, limit, num_prompt_tokens)
        asked = parse_judge_request(body)
        if asked is not None:
            return self._judge(asked)
        request = parse_request(body)
        try:
            answer = self._answer(request)
        except CannotAnswerError as exc:
            return _reply_to(request, f"I'm sorry, but I can't help with this: {exc}.", False)
        return _reply_to(request, answer.text, answer.is_cut)

    def _judge(self, asked: JudgeRequest) -> dict[str, Any]:
        num_tokens = len(asked.text) // _CHARS_PER_TOKEN + 1
        num_tokens += _TOKENS_PER_IMAGE * len(asked.images)
        try:
            content = write_json(judge(asked, self._recogniser))
        except CannotAnswerError as exc:
            content = f"I'm sorry, but I can't help with this: {exc}."
        return _completion(asked.text, content, False, asked.max_tokens, num_tokens)

    def _answer(self, request: TeacherRequest) -> Answer:
        scene = set_scene(request, self._recogniser, self._lexicon)
        reply = compose_reply(request, scene, self._lexicon)
        reply |= own_fields(request.schema, reply)
        mistake = None if request.is_correction else self._rates.draw(request.key)
        answer = plant(mistake, request, scene, reply, self._lexicon) if mistake else None
        if answer is None:
            return Answer(reply)
        self._planted.add(request, answer, correct=reply["revision"])
        return answer


def _reply_to(request: TeacherRequest, content: str, is_cut: bool) -> dict[str, Any]:
    num_prompt_tokens = request.num_prompt_chars // _CHARS_PER_TOKEN + 1
    num_prompt_tokens += _TOKENS_PER_IMAGE * len(request.images)
    return _completion(request.key, content, is_cut, request.max_tokens, num_prompt_tokens)


def _completion(
    key: str, content: str, is_cut: bool, max_tokens: int | None, num_prompt_tokens: int
) -> dict[str, Any]:
    num_tokens = len(content) // _CHARS_PER_TOKEN + 1
    if max_tokens is not None and num_tokens > max_tokens:
        content, is_cut = content[: max_tokens * _CHARS_PER_TOKEN], True
        num_tokens = max_tokens
    return {
        "id": f"chatcmpl-{sha256(key.encode()).hexdigest()[:24]}",
        "object": "chat.completion",
        "created": 0,  # The same request gets the same bytes, so no clock.
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": "length" if is_cut else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": num_prompt_tokens,
            "completion_tokens": num_tokens,
            "total_tokens": num_prompt_tokens + num_tokens,
        },
    }
