"""Replies of the length and shape that a large model writes, with their tokens counted.

All numbers of tokens in the JSON file are counts of GPT-4o's own vocabulary (o200k_base): of
`realistic_reply`, of rendered prompts and of reply schemas. Count them anew where texts or prompts
change by much.
"""

from functools import cache
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from builder.cost.tokens import image_tokens
from schemas.reply import draft_names
from schemas.vocabulary import Cell
from tests.generate.fault_server import FaultServer, is_judge
from tests.generate.replies import Asked, completion

_NAMES = {
    "classification": ("post", "label", "other_label"),
    "vqa": ("question", "answer", "wrong_answer"),
    "retrieval": ("query", "positive", "negative"),
}


@cache
def _content() -> dict[str, Any]:
    return orjson.loads(Path(__file__).with_suffix(".json").read_bytes())


def realistic_languages() -> tuple[str, ...]:
    """Languages there are texts in; eight scripts."""
    return tuple(_content()["texts"])


def realistic_reply(cell: Cell, language: str) -> str:
    """A reply as its JSON text."""
    content = _content()
    fields = ("query_text", "positive_text", "negative_text")
    texts = dict(zip(fields, _NAMES[cell.task_type], strict=True))
    named = {
        name: content["texts"][language][texts[field]] for field, name in draft_names(cell).items()
    }
    numbers = {"query": 0, "positive": 1, "negative": 2}
    evaluation = {
        name: reason if name == "improvements" else {"score": 4, "reason": reason}
        for name, reason in content["evaluation"].items()
    }
    reply = {
        "interpretations": [
            {
                "image": role,
                **content["interpretations"][numbers[role]],
                "task_ideas": content["task_ideas"][cell.task_type],
            }
            for role in cell.image_roles
        ],
        "draft": {"instruction": content["instructions"]["draft"], **named},
        "evaluation": evaluation,
        "revision": {"instruction": content["instructions"]["revision"], **named},
    }
    return orjson.dumps(reply).decode()


def realistic_usage(asked: Asked, content: dict[str, Any], image_px: int) -> dict[str, int]:
    """What an endpoint says of a request for a sample or a judgement and of its reply.

    Args:
        asked: What the request asks for.
        content: Its body.
        image_px: Side of the images sent.
    """
    counted, cell, language = _content(), asked.cell.name, asked.language
    has_schema = (content.get("response_format") or {}).get("type") == "json_schema"
    if is_judge(content):
        prompt = counted["judge_prompt_tokens"][cell][language]
        schema, reply = counted["judge_schema_tokens"], counted["judge_reply_tokens"]
    else:
        prompt, schema = counted["prompt_tokens"][cell], counted["schema_tokens"][cell]
        reply = counted["reply_tokens"][cell][language]
    images = len(asked.cell.image_roles) * image_tokens(content["model"], image_px, image_px)
    prompt += schema * has_schema + images
    return {
        "prompt_tokens": prompt,
        "completion_tokens": reply,
        "total_tokens": prompt + reply,
    }


class RealisticServer(FaultServer):
    """Answers with realistic replies, and counts tokens as a real endpoint would.

    `image_px` is the side of the images that are sent.
    """

    image_px = 64

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        content = orjson.loads(body)
        asked = Asked(content["messages"][1]["content"][0]["text"])
        reply = realistic_reply(asked.cell, asked.language)
        if is_judge(content):
            reply = orjson.dumps(orjson.loads(reply)["evaluation"]).decode()
        made = completion(reply) | {"usage": realistic_usage(asked, content, self.image_px)}
        return web.Response(body=orjson.dumps(made), content_type="application/json")
