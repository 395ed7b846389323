"""What a workspace holds can be listed, shown and looked at in a page that needs no other file."""

import re
from pathlib import Path

import orjson
import pytest
import typer
from typer.testing import CliRunner

from builder.commands import samples
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.samples.page import render_page
from builder.samples.read import SampleFilter, SamplesError, find_samples, get_sample
from builder.workspace import Workspace
from tests.release.small_workspace import small_workspace

_REPLY = {
    "choices": [
        {"finish_reason": "stop", "message": {"content": "Sorry <script>alert(1)</script> قطة"}}
    ]
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Sixty kept samples and three dropped ones, one of these with its request and reply."""
    workspace = small_workspace(tmp_path_factory.mktemp("samples") / "w")
    with Ledger(workspace.ledger_path) as ledger:
        db = ledger.db
        db.execute("INSERT INTO prompt VALUES ('p', 'You write </pre><img src=x> data.')")
        db.execute(
            "INSERT INTO request (id, key, job_id, kind, prompt_hash, parameters, model) "
            "VALUES (1, 'k', 'dropped-0-0', 'sample', 'p', 'Language: French (fr)', 'm')"
        )
        db.execute("INSERT INTO reply VALUES (1, 200, ?)", (orjson.dumps(_REPLY),))
        db.execute("INSERT INTO usage VALUES (1, 900, 40, 0.0021)")
        db.execute("UPDATE outcome SET request_hash = 'k' WHERE job_id = 'dropped-0-0'")
    return workspace


def _ids(workspace: Workspace, **wanted: object) -> list[str]:
    with Ledger(workspace.ledger_path) as ledger:
        return [found.job_id for found in find_samples(ledger, SampleFilter(**wanted))]  # type: ignore[arg-type]


def test_filters_choose_among_kept_and_dropped(workspace: Workspace) -> None:
    assert len(_ids(workspace)) == 60
    assert len(_ids(workspace, state="all")) == 63
    assert _ids(workspace, reasons=("wrong_language",)) == ["dropped-0-2"]
    arabic = _ids(workspace, languages=("ar",), task_types=("retrieval",), modalities=("T->IT",))
    with Ledger(workspace.ledger_path) as ledger:
        expected = ledger.db.execute(
            "SELECT job_id FROM outcome WHERE language = 'ar' AND modality = 'T->IT' "
            "AND reason IS NULL ORDER BY idx"
        ).fetchall()
    assert arabic and arabic == [row[0] for row in expected]


def test_text_is_found_in_samples_and_in_replies_of_dropped_ones(workspace: Workspace) -> None:
    found = _ids(workspace, text="QUERY 0/1")
    assert "job-0-1" in found and "job-0-2" not in found
    assert _ids(workspace, state="all", text="sorry") == ["dropped-0-0"]


def test_what_does_not_exist_is_refused_with_the_choices(workspace: Workspace) -> None:
    with pytest.raises(SamplesError, match=r'no language "xx"\. Choose among af, am'):
        _ids(workspace, languages=("xx",))
    with Ledger(workspace.ledger_path) as ledger:
        with pytest.raises(SamplesError, match="no sample or job"):
            get_sample(ledger, "ffff0000ffff")
        with pytest.raises(SamplesError, match="several samples begin"):
            get_sample(ledger, "job-0")
        with pytest.raises(SamplesError, match="is not an id"):
            get_sample(ledger, "%' OR 1=1")


def test_a_page_needs_no_other_file_and_escapes_texts_of_the_workspace(
    workspace: Workspace,
) -> None:
    with Ledger(workspace.ledger_path) as ledger, ImageStore(workspace.images_dir) as store:
        whole = [get_sample(ledger, "dropped-0-0")]
        whole += find_samples(ledger, SampleFilter(languages=("ar",)))
        page = render_page(whole, store, title="a <b>title</b>")
    assert "<script>" not in page and "&lt;script&gt;" in page and "<img src=x>" not in page
    assert "a &lt;b&gt;title" in page and "$0.002100" in page
    assert re.search(r'<p lang="ar" dir="rtl">قطة', page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)


def test_a_full_page_says_what_it_leaves_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.samples.page.MAX_SAMPLES", 5)
    monkeypatch.setattr("builder.samples.page._MAX_PICTURE_BYTES", 1)
    with Ledger(workspace.ledger_path) as ledger, ImageStore(workspace.images_dir) as store:
        page = render_page(list(find_samples(ledger, SampleFilter())), store, title="t")
    assert page.count("<article>") == 5 and "55 more samples are left out" in page
    assert page.count("<img ") == 1 and "picture left out" in page


def _app() -> typer.Typer:
    app = typer.Typer()
    samples.register(app)
    return app


def test_the_commands_list_and_show(workspace: Workspace, tmp_path: Path) -> None:
    app, root = _app(), str(workspace.root)
    listed = CliRunner().invoke(app, ["samples", "list", "-w", root, "--format", "json", "-n", "3"])
    rows = [orjson.loads(line) for line in listed.stdout.splitlines()]
    assert [row["state"] for row in rows] == ["kept"] * 3
    table = CliRunner().invoke(app, ["samples", "list", "-w", root, "--dropped"])
    assert table.exit_code == 0 and table.stdout.count("answer_leak") == 2
    shown = CliRunner().invoke(app, ["samples", "show", "-w", root, "dropped-0-0"])
    assert "reply: Sorry" in shown.stdout and "prompt: Language: French" in shown.stdout
    page = tmp_path / "page.html"
    CliRunner().invoke(app, ["samples", "show", "-w", root, rows[0]["id"], "--html", str(page)])
    assert page.read_text(encoding="utf-8").count("<article>") == 1
