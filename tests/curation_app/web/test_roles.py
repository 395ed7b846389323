"""What a reviewer may not do, asked for past the pages: every event of every page, one by one."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from curation_app.store.accounts import Accounts
from curation_app.store.database import Database
from tests.curation_app.running_app import RunningApp
from tests.curation_app.web.serving import Client

pytest.importorskip("gradio", reason="the pages need the extra `app`")
pytest.importorskip("argon2", reason="accounts need the extra `app`")

PASSWORD = "correct horse battery"
#: What only a lead changes.
TABLES = ("account", "invite", "guideline", "queue", "audit", "seed", "event")
PAGES = ("", "audit", "coverage", "quality", "compare", "search", "admin")


@pytest.fixture(scope="module")
def running(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    store = tmp_path_factory.mktemp("roles") / "reviews.sqlite"
    database = Database(store)
    accounts = Accounts(database)
    accounts.add("Lead", role="lead", languages=None, password=PASSWORD)
    accounts.add("R", role="reviewer", languages=None, password=PASSWORD)
    database.close()
    found = RunningApp(release, store)
    found.start()
    yield found
    found.stop()


def contents(store: Path) -> dict[str, list[tuple]]:
    """Everything in the tables that leads change."""
    connection = sqlite3.connect(store)
    found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}
    connection.close()
    return found


def config_of(client: Client, page: str, cookie: str) -> dict[str, Any]:
    """What Gradio tells the browser of a page: its components and events."""
    text = client.ask(f"/{page}", headers={"cookie": cookie, "accept": "text/html"}).text
    found = re.search(r"window\.gradio_config = (.*?);</script>", text)
    assert found is not None
    return json.loads(found[1])


def filled(component: dict[str, Any], name: str) -> Any:
    """A value that a handler could do something with."""
    props = component["props"]
    choices = props.get("choices") or []
    if component["type"] == "dropdown" and not choices:
        return name
    if props.get("value") not in (None, "", []):
        return props["value"]
    if choices:
        first = choices[0][1] if isinstance(choices[0], list | tuple) else choices[0]
        return [first] if props.get("multiselect") else first
    return {"textbox": name, "number": 5, "slider": 5, "checkbox": True}.get(component["type"])


def opens(event: dict[str, Any]) -> bool:
    """Whether an event is what happens when its page is opened."""
    return any(kind == "load" for _, kind in event["targets"])


def ask_everything(running: RunningApp, name: str) -> int:
    """Sends every event of every page as somebody; how many were answered."""
    client = Client(urlsplit(running.url).port or 0)
    signed_in = client.post_form("/sign-in", {"name": name, "password": PASSWORD})
    cookie, num_answered = signed_in.cookie("polyscene"), 0
    for page in PAGES:
        config = config_of(client, page, cookie)
        components = {component["id"]: component for component in config["components"]}
        # What happens on opening comes first: it fills the choices the others are checked against.
        events = sorted(config["dependencies"], key=lambda event: not opens(event))
        for event in events:
            for text in ("R", "a title"):
                data = [filled(components[number], text) for number in event["inputs"]]
                body = {"fn_index": event["id"], "data": data, "session_hash": name + page}
                answer = client.post_json(
                    "/gradio_api/run/predict",
                    json.dumps(body).encode(),
                    cookie=cookie,
                    Origin=running.url.rstrip("/"),
                )
                num_answered += answer.status == 200
    return num_answered


def test_no_event_of_any_page_lets_a_reviewer_do_what_is_a_leads(running: RunningApp) -> None:
    before = contents(running.store)
    assert ask_everything(running, "R") > 20
    assert contents(running.store) == before
    # The same requests of a lead do change things, so the ones above were real.
    assert ask_everything(running, "Lead") > 20
    after = contents(running.store)
    changed = {table for table in TABLES if after[table] != before[table]}
    assert {"account", "invite", "queue", "guideline"} <= changed, changed


def test_nobody_signed_in_gets_no_event_at_all(running: RunningApp) -> None:
    client = Client(urlsplit(running.url).port or 0)
    body = json.dumps({"fn_index": 0, "data": [], "session_hash": "x"}).encode()
    for path in ("run/predict", "queue/join", "component_server/", "queue/data?session_hash=x"):
        is_read = path.startswith("queue/data")
        method = client.ask if is_read else lambda path: client.post_json(path, body)
        assert method(f"/gradio_api/{path}").status == 401
