"""An endpoint that answers every chat completion with a valid reply after a fixed time.

A bare protocol, so that one core serves more than a client can ask:
`python -m benchmarks.scripted_endpoint --port P [--latency-s 0.2]`.
"""

import argparse
import asyncio
import re
from itertools import count

import orjson

from tests.generate.replies import Asked, completion, valid_reply

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_PARAMETERS = re.compile(rb'"type":"text","text":("Task type: (?:[^"\\]|\\.)*")')
_PLAIN = (
    "Task type: classification\nModality combination: I->T\nLanguage: English (en)\nSeed: {seed}"
)


class _Protocol(asyncio.Protocol):
    def __init__(self, latency_s: float, seeds: "count[int]") -> None:
        self._latency_s = latency_s
        self._seeds = seeds
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            end = self._received.find(b"\r\n\r\n")
            length = _LENGTH.search(self._received, 0, max(end, 0))
            if end < 0 or length is None or len(self._received) < end + 4 + int(length[1]):
                return
            body = bytes(self._received[end + 4 : end + 4 + int(length[1])])
            del self._received[: end + 4 + int(length[1])]
            asyncio.get_running_loop().call_later(self._latency_s, self._answer, body)

    def _answer(self, body: bytes) -> None:
        found = _PARAMETERS.search(body)
        text = orjson.loads(found[1]) if found else _PLAIN.format(seed=next(self._seeds))
        reply = orjson.dumps(valid_reply(Asked(text))).decode()
        answer = orjson.dumps(completion(reply))
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}"
        if not self._transport.is_closing():
            self._transport.write(head.encode() + b"\r\n\r\n" + answer)


async def serve(port: int, latency_s: float) -> None:
    """Serves until cancelled."""
    seeds = count(1)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Protocol(latency_s, seeds), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-s", type=float, default=0.2)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.latency_s))


if __name__ == "__main__":
    main()
