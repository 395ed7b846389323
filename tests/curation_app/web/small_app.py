"""The real web app with two small pages, several times over: a program for a process of its own.

Gradio leaves event loops and warnings behind that a test run would take for its own.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from curation_app.store import ReviewStore
from curation_app.store.accounts import Accounts
from curation_app.web.app import Page, create_app, load_gradio
from curation_app.web.border import make_border
from curation_app.web.server import bind, make_config
from curation_app.web.sessions import Sessions
from curation_app.work.workbench import open_workbench
from tests.curation_app.web.serving import Client

PASSWORD = "correct horse battery"
PAYLOAD = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
#: By name: the border's options, and whether there are accounts.
VARIANTS: dict[str, tuple[dict[str, Any], bool]] = {
    "alone": ({}, False),
    "proxied": ({"proxies": ["127.0.0.1"]}, False),
    "below": ({"proxies": ["127.0.0.1"], "root_path": "/review"}, False),
    "accounts": ({"root_path": "/review"}, True),
}


def first_page(bench: Any, who: Any) -> None:
    """Text of a dataset in a value that is in the page's config, and who asks."""
    import gradio as gr

    gr.Textbox(PAYLOAD, label="text")
    answer = gr.Textbox(label="answer")

    def say(request: gr.Request) -> str:
        return f"you are {who(request).name}"

    gr.Button("Ask").click(say, None, answer)


def second_page(bench: Any, who: Any) -> None:
    """The components that the app's pages use."""
    import gradio as gr
    import pandas as pd

    table = pd.DataFrame({"a": ["x", PAYLOAD], "b": [1, 2]})
    gr.BarPlot(table, x="a", y="b")
    gr.Dataframe(table)
    gr.Code("select 1", language="sql", interactive=True)
    gr.Dropdown(["a", PAYLOAD], filterable=True, label="choice")
    file = gr.DownloadButton("Fetch the report")
    state = gr.Textbox(label="state")

    def make() -> Any:
        path = bench.store.path.parent / "report.json"
        path.write_text("{}")
        return gr.DownloadButton(value=str(path)), "made"

    gr.Button("Make").click(make, None, [file, state])


@contextmanager
def small_apps(release: Path, folder: Path) -> Iterator[dict[str, Client]]:
    """Runs every variant in one process until the block ends; clients by the variant's name."""
    command = [sys.executable, "-m", __name__, str(release), str(folder)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (folder / "log").read_text()
    try:
        yield {name: Client(port) for name, port in json.loads(line).items()}
    finally:
        process.terminate()
        process.communicate(timeout=30)


async def _serve(release: str, folder: Path) -> None:
    load_gradio()
    servers, ports = [], {}
    for name, (options, has_accounts) in VARIANTS.items():
        store = ReviewStore(folder / f"{name}.sqlite")
        bench = open_workbench(release, store, folder / "cache")
        accounts = Accounts(store.database)
        if has_accounts:
            accounts.add("Lead", role="lead", languages=None, password=PASSWORD)
        app = create_app(
            bench,
            Sessions(accounts, default_reviewer="reviewer-1"),
            make_border("127.0.0.1", **options),
            pages=[Page("Review", "", first_page), Page("Audit", "audit", second_page)],
        )
        listener = bind("127.0.0.1", 0)
        ports[name] = listener.getsockname()[1]
        servers.append((uvicorn.Server(make_config(app)), listener))
    serving = [
        asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers
    ]
    while not all(server.started for server, _ in servers):
        await asyncio.sleep(0.01)
    print(json.dumps(ports), flush=True)
    await asyncio.gather(*serving)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
