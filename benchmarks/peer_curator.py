"""Bespoke Curator against the scripted endpoint, by itself so that it runs in its own environment.

`PEER_PYTHON -m benchmarks.peer_curator PROMPTS.json IN_FLIGHT` prints one line
of JSON: CPU milliseconds a call, and calls a second. Its token counter, which
fetches a table from the network, is replaced by one that counts words: in the
peer's favour.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


def cpu_s() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _Words:
    """Counts words instead of tokens."""

    def encode(self, text: str, **_: Any) -> list[str]:
        return text.split()


def main() -> None:
    """Asks every prompt once, after a warm-up; text only, no check of the replies."""
    prompts: list[str] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    in_flight = int(sys.argv[2])
    os.environ["CURATOR_CACHE_DIR"] = str(Path(sys.argv[1]).parent / "curator")
    os.environ["CURATOR_VIEWER"] = "0"
    os.environ["TELEMETRY_ENABLED"] = "false"
    import tiktoken  # pyright: ignore[reportMissingImports]

    tiktoken.get_encoding = tiktoken.encoding_for_model = lambda name: _Words()
    from bespokelabs import curator  # pyright: ignore[reportMissingImports]

    class Asker(curator.LLM):
        def prompt(self, row: dict[str, Any]) -> str:
            return row["prompt"]

        def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
            return {"reply": response}

    def run(rows: list[str]) -> int:
        asker = Asker(
            model_name="scripted",
            backend="openai",
            backend_params={
                "base_url": os.environ["OPENAI_BASE_URL"],
                "max_requests_per_minute": 100_000_000,
                "max_tokens_per_minute": 100_000_000_000,
                "max_concurrent_requests": in_flight,
            },
        )
        done = asker([{"prompt": prompt} for prompt in rows])
        return len(getattr(done, "dataset", done))

    run([f"{prompt}\nWarm-up." for prompt in prompts[:100]])
    cpu_before, before = cpu_s(), time.perf_counter()
    done = run(prompts)
    if done != len(prompts):
        raise SystemExit(f"{len(prompts) - done} of {len(prompts)} calls failed")
    cpu_ms = (cpu_s() - cpu_before) / done * 1000
    print(json.dumps({"cpu_ms": cpu_ms, "rate": done / (time.perf_counter() - before)}))


if __name__ == "__main__":
    main()
