"""The Batch API's endpoints, added to the scripted server: files, batches, results in any order."""

import random
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from tests.generate.fault_server import Faults, FaultServer
from tests.generate.replies import Asked, completion, valid_evaluation, valid_reply

QUEUE_FULL = (
    "Enqueued token limit reached for scripted in organization org-0. Please try again once some "
    "in_progress batches have been completed."
)


class BatchServer(FaultServer):
    """Answers whole files; a batch takes `num_looks` looks to complete.

    Args:
        faults: `rates` may hold "batch_500", "batch_400", "batch_names_format" (a 400 for a
            picture that names the format), "batch_missing" and "surrogate" (half a pair in a
            result's JSON) besides content faults.
        num_looks: How often a batch is "in_progress" before it is "completed".
    """

    def __init__(self, faults: Faults | None = None, num_looks: int = 2) -> None:
        super().__init__(faults)
        self.num_looks = num_looks
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.looks: dict[str, int] = {}
        self.lines_a_batch: list[int] = []
        self.most_bytes = 0
        self.fail_next_batch: str | None = None
        self.lose_next_start = False
        self.keeps_metadata = True
        self.takes_files = True
        self.max_enqueued: int | None = None
        self.says_full_at_start = False
        self.num_turned_away = 0
        self.most_open = 0
        self.on_start: Callable[[], None] = lambda: None
        self.authorization = ""

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._download)
        app.router.add_post("/v1/batches", self._start)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._look)

    async def _upload(self, request: web.Request) -> web.Response:
        if not self.takes_files:
            return web.json_response({"error": {"message": "no files today"}}, status=400)
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        return web.json_response(self._file(file.file.read()))

    def _file(self, content: bytes) -> dict[str, Any]:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": 0,
            "filename": "batch.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    async def _download(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _start(self, request: web.Request) -> web.StreamResponse:
        self.authorization = request.headers.get("Authorization", "")
        content = await request.json()
        self.on_start()
        name = f"batch_{len(self.batches)}"
        lines = self.files[content["input_file_id"]].splitlines()
        is_full = self.max_enqueued is not None and self._enqueued() + len(lines) > (
            self.max_enqueued
        )
        self.num_turned_away += is_full
        if is_full and self.says_full_at_start:
            return web.json_response({"error": {"message": QUEUE_FULL}}, status=400)
        self.lines_a_batch.append(len(lines))
        self.most_bytes = max(self.most_bytes, len(self.files[content["input_file_id"]]))
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": content["input_file_id"],
            "completion_window": "24h",
            "created_at": len(self.batches),
            "status": "in_progress",
            "metadata": content["metadata"] if self.keeps_metadata else None,
        }
        if is_full:
            error = {"code": "token_limit_exceeded", "message": QUEUE_FULL}
            self.batches[name] |= {"status": "failed", "errors": {"data": [error]}}
        num_open = sum(batch["status"] == "in_progress" for batch in self.batches.values())
        self.most_open = max(self.most_open, num_open)
        if self.fail_next_batch is not None:
            error = {"code": "invalid", "message": self.fail_next_batch}
            self.batches[name] |= {"status": "failed", "errors": {"data": [error]}}
            self.fail_next_batch = None
        if self.lose_next_start:
            self.lose_next_start = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.batches[name])

    def _enqueued(self) -> int:
        return sum(
            len(self.files[batch["input_file_id"]].splitlines())
            for batch in self.batches.values()
            if batch["status"] == "in_progress"
        )

    async def _list(self, request: web.Request) -> web.Response:
        data = list(reversed(self.batches.values()))
        return web.json_response({"object": "list", "data": data, "has_more": False})

    async def _look(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        self.looks[batch["id"]] = self.looks.get(batch["id"], 0) + 1
        if batch["status"] == "in_progress" and self.looks[batch["id"]] > self.num_looks:
            self._complete_batch(batch)
        return web.json_response(batch)

    def _complete_batch(self, batch: dict[str, Any]) -> None:
        replies: list[bytes] = []
        errors: list[bytes] = []
        lines = self.files[batch["input_file_id"]].splitlines()
        random.Random(batch["id"]).shuffle(lines)
        for line in lines:
            request = orjson.loads(line)
            self.num_requests += 1
            self.asked[request["custom_id"]] += 1
            status, body = self._result(request)
            if body is None:
                continue
            if status == 200:
                self.answered[request["custom_id"]] += 1
            result = {
                "id": "r",
                "custom_id": request["custom_id"],
                "response": {"status_code": status, "request_id": "q", "body": body},
                "error": None,
            }
            dumped = orjson.dumps(result)
            if self._fault(Asked(request["body"]["messages"][1]["content"][0]["text"]), False) == (
                "surrogate"
            ):
                dumped = dumped.replace(b'"content":"', b'"content":"\\ud83d ')
            (replies if status == 200 else errors).append(dumped)
        batch["output_file_id"] = self._file(b"\n".join(replies))["id"]
        if errors:
            batch["error_file_id"] = self._file(b"\n".join(errors))["id"]
        batch["status"] = "completed"

    def _result(self, request: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        messages = request["body"]["messages"]
        kind = (request["body"].get("response_format") or {"type": "text"})["type"]
        if kind not in self.faults.formats:
            return 400, {"error": {"message": f"response_format {kind} is not supported"}}
        text = messages[1]["content"][0]["text"]
        asked = Asked(text)
        is_correction = len(messages) > 2
        fault = self._fault(asked, is_correction)
        first = self.asked[request["custom_id"]] == 1
        if fault == "batch_500" and first:
            return 500, {"error": {"message": "scripted"}}
        if fault == "batch_400":
            said = self.authorization if self.faults.echo_key else ""
            return 400, {"error": {"message": f"scripted {said}"}}
        if fault == "batch_names_format":
            return 400, {"error": {"message": "this picture is no use with response_format"}}
        if fault == "batch_missing" and first:
            return 0, None
        reply = valid_evaluation() if "Seed:" not in text else valid_reply(asked)
        content = orjson.dumps(reply).decode()
        if fault == "not_json":
            content = "There is nothing to say about this picture."
        if fault == "refusal":
            return 200, completion(None, refusal="I cannot help with that.")
        return 200, completion(content)
