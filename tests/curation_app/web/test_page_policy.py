"""Which inline scripts of a page may run: Gradio's own, with nothing but JSON in them."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from curation_app.web.page_policy import PagePolicy, ScriptShape, TemplateError, script_shapes
from tests.curation_app.web.serving import Answer, serving

TEMPLATE = """<html><head><base href="{{ base_url | default('./') }}" />
<script>window.gradio_config = {{ config | toorjson }};</script>
<script data-mode>
  start();
</script>
<script type="module" src="./assets/index.js"></script>
<link rel="manifest" href="/manifest.json" /></head><body></body></html>"""


def page(config: str, extra: str = "") -> str:
    text = re.sub(r"\{\{ config.*?\}\}", lambda _: config, TEMPLATE)
    return re.sub(r"\{\{.*?\}\}", "./", text).replace("<body>", f"<body>{extra}")


def served(tmp_path: Path, text: str, path: str = "/audit", root: str = "/review") -> Answer:
    template = tmp_path / "index.html"
    template.write_text(TEMPLATE)

    def show(request: Request) -> Response:
        assert "accept-encoding" not in request.headers, "a compressed page cannot be read here"
        return HTMLResponse(text)

    app = Starlette(routes=[Route("/audit", show)])
    policy = PagePolicy(
        app,
        template,
        {"/audit": ["ui/a.css"]},
        scripts=["ui/s.js"],
        icon="ui/i.svg",
        root_path=root,
    )
    with serving(policy) as client:
        return client.ask(path, headers={"Accept-Encoding": "br"})


def hash_of(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def test_gradios_scripts_are_allowed_by_hash_and_no_other(tmp_path: Path) -> None:
    evil = "fetch('https://evil.example')"
    answer = served(tmp_path, page('{"a": 1}', f"<script>{evil}</script><b onclick='{evil}'>x</b>"))
    policy = answer.headers["content-security-policy"]
    assert hash_of('window.gradio_config = {"a": 1};') in policy
    assert hash_of("\n  start();\n") in policy
    assert hash_of(evil) not in policy and "'unsafe-inline'" not in policy.split("style-src")[0]
    assert policy.count("sha256-") == 2


@pytest.mark.parametrize(
    "config",
    ['alert(1)', '{"a": alert(1)}', '1; alert(1); window.x = 1', "{}};alert(1);({}", "",
     '"<!--<script>"', "`${alert(1)}`"],
)  # fmt: skip
def test_a_config_that_is_not_plain_json_gets_no_hash(tmp_path: Path, config: str) -> None:
    policy = served(tmp_path, page(config)).headers["content-security-policy"]
    assert policy.count("sha256-") == 1, "that of the fixed script"


def test_addresses_and_styles_are_below_the_root_path(tmp_path: Path) -> None:
    text = served(tmp_path, page("{}")).text
    assert '<base href="/review/" />' in text and "manifest.json" not in text
    assert '<link rel="stylesheet" href="/review/ui/a.css">' in text
    assert '<script type="module" src="/review/ui/s.js"></script>' in text
    assert '<link rel="icon" type="image/svg+xml" href="/review/ui/i.svg">' in text
    assert served(tmp_path, page("{}"), root="").text.count('href="/ui/a.css"') == 1


def test_a_slash_at_the_end_leads_to_the_page_below_the_root_path(tmp_path: Path) -> None:
    answer = served(tmp_path, page("{}"), "/audit/")
    assert (answer.status, answer.headers["location"]) == (301, "/review/audit")


def test_a_template_with_unknown_scripts_is_refused() -> None:
    for script in ("{{ a | toorjson }}{{ b | toorjson }}", "x = '{{ title }}'"):
        with pytest.raises(TemplateError, match="unknown form"):
            script_shapes(f"<script>{script}</script>")


def test_the_installed_gradios_template_is_of_the_known_form() -> None:
    routes = pytest.importorskip("gradio.route_utils", reason="needs the extra `app`")
    template = Path(routes.STATIC_TEMPLATE_LIB) / "frontend" / "index.html"
    shapes = script_shapes(template.read_text(encoding="utf-8"))
    assert ScriptShape("window.gradio_config = ", ";") in shapes
