"""What the server answers beside its pages, and how it starts or says why it cannot."""

import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from curation_app.data.version import VersionDataset
from curation_app.web.identity import reviewer_of
from curation_app.work.cards import sides
from curation_app.work.people import clean_name
from tests.curation_app.running_app import RunningApp

ROOT = Path(__file__).parents[2]

pytest.importorskip("gradio", reason="the review pages need the extra `app`")


def ask(
    app: RunningApp, path: str, *, method: str = "GET", body: object = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(app.url).netloc, timeout=30)
    payload = None if body is None else json.dumps(body)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if payload is not None:
        sent.setdefault("content-type", "application/json")
    connection.request(method, path, payload, sent)
    response = connection.getresponse()
    answer = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    connection.close()
    return answer


def test_thumbnails_are_webp_whatever_the_dataset_says(
    app: RunningApp, dataset: VersionDataset
) -> None:
    row = int(np.flatnonzero(dataset.matching(language="ar", modality="I->I"))[0])
    for side in sides(dataset.load(row).sample):
        status, headers, data = ask(app, "/" + side["image"])
        assert (status, headers["content-type"]) == (200, "image/webp")
        assert "immutable" in headers["cache-control"]
        assert data[8:12] == b"WEBP"
    broken = int(np.flatnonzero(dataset.matching(language="de"))[0])
    side = sides(dataset.load(broken).sample)[0]
    status, headers, data = ask(app, "/" + side["image"])
    assert status == 415 and headers["content-type"].startswith("text/plain")
    assert b"Cannot be read" in data
    assert ask(app, "/thumbnails/none/query/x.webp")[0] == 404


def test_an_image_comes_at_its_original_size_or_by_its_hash_alone(
    app: RunningApp, dataset: VersionDataset
) -> None:
    row = int(np.flatnonzero(dataset.matching(language="ar", modality="I->I"))[0])
    positive, negative = sides(dataset.load(row).sample)[1:]
    _, _, shown = ask(app, "/" + positive["image"])
    status, _, full = ask(app, "/" + positive["full"])
    assert (status, full[8:12]) == (200, b"WEBP")
    folder, _, name = negative["image"].rpartition("/")
    unlabelled = f"/{folder.rpartition('/')[0]}/any/{name}"
    assert ask(app, unlabelled)[2] == ask(app, "/" + negative["image"])[2] != shown
    assert ask(app, unlabelled.replace(name, "0" * 16 + ".webp"))[0] == 404


def test_a_taken_port_is_one_clear_line(release: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "curation_app", "serve", "--dataset", str(release)]
        command += ["--store", str(tmp_path / "r.sqlite"), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"127.0.0.1:{port}: Address already in use" in done.stderr


@pytest.mark.parametrize(("port", "bound"), [("99999", "65535 or less"), ("-1", "0 or more")])
def test_a_port_that_is_none_is_told_by_its_option(port: str, bound: str) -> None:
    command = [sys.executable, "-m", "curation_app", "serve", "--dataset", "x", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "--port" in done.stderr and bound in done.stderr


def test_the_base_package_needs_no_gradio() -> None:
    program = "import sys, curation_app, curation_app.cli; print('gradio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ
    )
    assert done.stdout.strip() == "False", done.stderr


def test_without_gradio_the_pages_say_how_to_get_it_before_a_version_is_fetched(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; sys.modules['gradio'] = None\n"
        "sys.argv = ['review', 'serve', '--dataset', 'not/fetched@0.1.0', '--port', '0']\n"
        "from curation_app.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "error: gradio " in done.stderr and "Traceback" not in done.stderr
    assert "pip install -e '.[app]'" in done.stderr


def test_reviewer_names_are_cleaned_or_refused() -> None:
    assert clean_name("  reviewer-1   al-Huda ") == "reviewer-1 al-Huda"
    assert clean_name("\u202ereviewer-1") is None
    assert clean_name("x" * 81) is None
    assert reviewer_of({"polyscene_reviewer": "%D9%86%D9%88%D8%B1"}, None) == "نور"
    assert reviewer_of({}, "reviewer-2") == "reviewer-2"
    assert reviewer_of({"polyscene_reviewer": "%20"}, None) is None
