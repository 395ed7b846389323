"""CPU time of the client side, all in, against bare clients and peers; prints a table.

`python -m benchmarks.generation [--samples 5000] [--in-flight 256] [--repeats 1]
[--peer-python PATH]`

A server in a process of its own answers every chat completion with a valid
reply after 0.2 s. Counted is user and system time of the client's process, in
milliseconds an accepted sample, after a warm-up that loads models and
modules. The peer, where there is one, gets the same texts without pictures, and its
replies are not looked at. Ours includes everything a build does: rendering, request, ledger on
disk, parsing, validation, checks, language identification, closing the round.
The other rows do nothing but send the same requests and take the replies.
"""

import argparse
import asyncio
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.scripted_build import config_for, fill_workspace
from builder.workspace import Workspace, open_workspace

_WARM_UP = 150
_PEER = "bespokelabs-curator, bare"
LATENCY_S = 0.2


def cpu_s() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def row_ours(directory: Path, num: int, in_flight: int) -> tuple[float, float]:
    """A whole build."""
    from builder.generate.session import BuildOptions, run_build

    def build(name: str, num_samples: int) -> int:
        workspace = open_workspace(directory / name, create=True)
        shutil.copytree(directory / "images", workspace.images_dir)
        config = config_for(num_samples, in_flight)
        console = Console(file=io.StringIO())
        return run_build(workspace, config, BuildOptions(), console).num_kept

    build("warm", _WARM_UP)
    return measured(lambda: build("build", num), num)


def row_openai_create(directory: Path, num: int, in_flight: int) -> tuple[float, float]:
    """`chat.completions.create`, as its documentation shows."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    bodies = requests_of(directory, num)

    async def run(num_calls: int) -> int:
        async with AsyncOpenAI(max_retries=0, http_client=DefaultAioHttpClient()) as client:

            async def call(body: bytes) -> None:
                content = orjson.loads(body)
                await client.chat.completions.create(**content)

            return await all_at_once(call, bodies, num_calls, in_flight)

    asyncio.run(run(_WARM_UP))
    return measured(lambda: asyncio.run(run(num)), num)


def row_openai_bytes(directory: Path, num: int, in_flight: int) -> tuple[float, float]:
    """`client.post` with bytes, the way our engine calls it."""
    from builder.config import TeacherConfig
    from builder.endpoint.client import Endpoint

    bodies = requests_of(directory, num)

    async def run(num_calls: int) -> int:
        endpoint = Endpoint(TeacherConfig(model="scripted"))

        async def call(body: bytes) -> None:
            orjson.loads((await endpoint.send(body)).body)

        done = await all_at_once(call, bodies, num_calls, in_flight)
        await endpoint.close()
        return done

    asyncio.run(run(_WARM_UP))
    return measured(lambda: asyncio.run(run(num)), num)


def row_aiohttp(directory: Path, num: int, in_flight: int) -> tuple[float, float]:
    """The floor: aiohttp by itself."""
    import aiohttp

    bodies = requests_of(directory, num)
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"

    async def run(num_calls: int) -> int:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def call(body: bytes) -> None:
                headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}
                async with session.post(url, data=body, headers=headers) as response:
                    orjson.loads(await response.read())

            return await all_at_once(call, bodies, num_calls, in_flight)

    asyncio.run(run(_WARM_UP))
    return measured(lambda: asyncio.run(run(num)), num)


ROWS: dict[str, Callable[[Path, int, int], tuple[float, float]]] = {
    "aiohttp by itself": row_aiohttp,
    "openai client, bytes": row_openai_bytes,
    "openai client, create()": row_openai_create,
    "polyscene, all in": row_ours,
}


def measured(run: Callable[[], int], num: int) -> tuple[float, float]:
    """CPU milliseconds a sample and samples a second.

    Raises:
        RuntimeError: Not every call ended well.
    """
    cpu_before, before = cpu_s(), time.perf_counter()
    done = run()
    if done != num:
        raise RuntimeError(f"{num - done} of {num} calls failed")
    return (cpu_s() - cpu_before) / num * 1000, num / (time.perf_counter() - before)


async def all_at_once(
    call: Callable[[bytes], Any], bodies: list[bytes], num: int, in_flight: int
) -> int:
    """Makes `num` calls, `in_flight` at any time."""
    todo = iter(bodies[:num])
    done = 0

    async def work() -> None:
        nonlocal done
        for body in todo:
            await call(body)
            done += 1

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return done


def requests_of(directory: Path, num: int) -> list[bytes]:
    """The bodies our build sends, images inside."""
    from builder.endpoint.capabilities import Capabilities
    from builder.generate.models import request_factory
    from builder.images.store import ImageStore
    from builder.plan import plan_round
    from builder.prompts import render_prompt

    config = config_for(num, 1)
    with ImageStore(directory / "images", config.images) as store:
        factory = request_factory(config.teacher, config, store)
        jobs = plan_round(config, store, 0, {}).jobs()
        return [
            factory.body(factory.sample(job, render_prompt(job)), Capabilities()) for job in jobs
        ]


@contextmanager
def endpoint(port: int) -> Any:
    """The scripted endpoint in a process of its own."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.scripted_endpoint"),
            *("--port", str(port), "--latency-s", str(LATENCY_S)),
        ]
    )
    try:
        time.sleep(2.0)
        yield {
            **os.environ,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "OPENAI_API_KEY": "none-needed",
        }
    finally:
        process.terminate()
        process.wait()


def run_peer(arguments: argparse.Namespace, env: dict[str, str]) -> dict[str, float]:
    """Runs Bespoke Curator in its own environment, on the texts of the same requests."""
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        directory = Path(name)
        fill_workspace(Workspace(directory))
        contents = map(orjson.loads, requests_of(directory, arguments.samples))
        prompts = [
            content["messages"][0]["content"] + "\n" + content["messages"][1]["content"][0]["text"]
            for content in contents
        ]
        path = directory / "prompts.json"
        path.write_bytes(orjson.dumps(prompts))
        command = [arguments.peer_python, "-m", "benchmarks.peer_curator", path]
        done = subprocess.run(
            [*map(str, command), str(arguments.in_flight)],
            env=env,
            stdout=subprocess.PIPE,
            check=True,
        )
        return orjson.loads(done.stdout.splitlines()[-1])


def run_row(name: str, arguments: argparse.Namespace, env: dict[str, str]) -> dict[str, float]:
    """Runs one row in a fresh process and a fresh directory."""
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        fill_workspace(Workspace(Path(directory)))
        command = [
            *(sys.executable, "-m", "benchmarks.generation", "--row", name),
            *("--samples", str(arguments.samples), "--in-flight", str(arguments.in_flight)),
            *("--directory", directory),
        ]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
        return orjson.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--port", type=int, default=8793)
    parser.add_argument("--peer-python", help="Python of an environment with Bespoke Curator.")
    parser.add_argument("--directory", type=Path, default=None, help="Where to put workspaces.")
    parser.add_argument("--row", choices=list(ROWS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        cpu_ms, rate = ROWS[arguments.row](
            arguments.directory, arguments.samples, arguments.in_flight
        )
        print(orjson.dumps({"cpu_ms": cpu_ms, "rate": rate}).decode())
        return
    results: dict[str, list[dict[str, float]]] = {name: [] for name in ROWS}
    with endpoint(arguments.port) as env:
        for _ in range(arguments.repeats):
            for name in ROWS:  # in turn, so that a busy machine is busy for all of them
                results[name].append(run_row(name, arguments, env))
            if arguments.peer_python:
                results.setdefault(_PEER, []).append(run_peer(arguments, env))
    title = f"{arguments.samples} samples, {arguments.in_flight} in flight, {LATENCY_S} s latency"
    table = Table(title=title, caption=describe_machine())
    for column in ("client", "CPU ms a sample", "samples a second"):
        table.add_column(column, justify="left" if column == "client" else "right")
    for name, rows in results.items():
        cpu_ms = sorted(row["cpu_ms"] for row in rows)[len(rows) // 2]
        rate = sorted(row["rate"] for row in rows)[len(rows) // 2]
        table.add_row(name, f"{cpu_ms:.2f}", f"{rate:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
