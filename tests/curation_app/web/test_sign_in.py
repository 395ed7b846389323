"""Signing in, invitations and what a session opens, over a real socket and a real store."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from curation_app.store.accounts import Accounts
from curation_app.store.database import Database
from curation_app.web.auth import auth_routes
from curation_app.web.border import Border, make_border
from curation_app.web.gate import Gate
from curation_app.web.guard import Guard
from curation_app.web.sessions import SESSION_DAYS, Sessions
from tests.curation_app.web.serving import Answer, Client, serving

argon2 = pytest.importorskip("argon2", reason="accounts need the extra `app`")
pytest.importorskip("itsdangerous", reason="sessions need the extra `app`")

PASSWORD = "correct horse battery"
#: The real hash, with next to no work.
QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PAGE = {"accept": "text/html,*/*"}


def app_on(accounts: Accounts, border: Border | None = None, **options: str) -> Guard:
    """The border, the gate and the routes of signing in, before one page that says who is there."""
    border = border or make_border("127.0.0.1")
    sessions = Sessions(accounts, default_reviewer=options.get("default_reviewer"))

    def whoami(request: Request) -> Response:
        person = sessions.who(request)
        return JSONResponse(person and [person.name, person.role, sorted(person.languages or [])])

    routes = [*auth_routes(sessions, border.root_path), Route("/", whoami), Route("/audit", whoami)]
    return Guard(Gate(Starlette(routes=routes), sessions, border.root_path), border)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    database = Database(tmp_path / "reviews.sqlite")
    found = Accounts(database, hasher=QUICK)
    found.add("Lead", role="lead", languages=None, password=PASSWORD)
    found.add("R", role="reviewer", languages=frozenset({"ar"}), password=PASSWORD)
    yield found
    database.close()


@pytest.fixture
def client(accounts: Accounts) -> Iterator[Client]:
    with serving(app_on(accounts)) as found:
        yield found


def sign_in(client: Client, name: str = "R", password: str = PASSWORD, **fields: str) -> Answer:
    return client.post_form("/sign-in", {"name": name, "password": password, **fields})


def who(client: Client, cookie: str) -> Answer:
    return client.ask("/", headers={"cookie": cookie})


def test_nothing_but_signing_in_is_open_where_there_are_accounts(client: Client) -> None:
    for path in (
        "/",
        "/audit",
        "/thumbnails/a/query/x",
        "/gradio_api/info",
        "/config",
        "/theme.css",
    ):
        assert client.ask(path).status == 401
    assert client.post_json("/gradio_api/component_server/", b"{}").status == 401
    page = client.ask("/audit?x=1", headers=PAGE)
    assert (page.status, page.headers["location"]) == (303, "/sign-in?next=%2Faudit%3Fx%3D1")
    status = client.ask("/api/status", method="POST")
    found = json.loads(status.body)
    assert (status.status, found["ok"], found["sign_in"]) == (401, False, "/sign-in")
    assert "signed out" in found["reason"]


def test_a_session_says_who_is_there_and_leads_where_one_wanted_to_go(client: Client) -> None:
    answer = sign_in(client, next="/audit?x=1")
    assert (answer.status, answer.headers["location"]) == (303, "/audit?x=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/;" in cookie
    assert "Secure" not in cookie, "this is plain http"
    assert json.loads(who(client, answer.cookie("polyscene")).body) == ["R", "reviewer", ["ar"]]
    status = client.ask("/api/status", headers={"cookie": answer.cookie("polyscene")})
    assert json.loads(status.body) == {
        "ok": True, "status": 200, "reason": "", "sign_in": "/sign-in", "reviewer": "R",
        "role": "reviewer",
    }  # fmt: skip


@pytest.mark.parametrize(
    "goal",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)",
     "/x\r\nSet-Cookie: a=b", "/sign-out", "", "/\tx"],
)  # fmt: skip
def test_signing_in_never_leads_elsewhere(client: Client, goal: str) -> None:
    answer = sign_in(client, next=goal)
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_a_wrong_password_and_an_unknown_name_read_and_last_the_same(client: Client) -> None:
    sign_in(client, "warm up", "x")
    took, texts = [], []
    for name in ("R", "Nobody"):
        begin = time.perf_counter()
        answer = sign_in(client, name, "wrong password")
        took.append(time.perf_counter() - begin)
        texts.append(answer.text)
        assert answer.status == 401 and "set-cookie" not in answer.headers
    assert texts[0] == texts[1] and "Name or password is wrong" in texts[0]
    assert max(took) < 10 * min(took), took


def test_many_failures_are_answered_429_even_with_the_right_password(client: Client) -> None:
    answers = [sign_in(client, "R", "wrong password").status for _ in range(5)]
    assert answers == [401, 401, 401, 401, 429]
    answer = sign_in(client, "r")
    assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1
    assert sign_in(client, "Lead").status == 303, "somebody else is not slowed down"


@pytest.mark.parametrize("change", ["flip", "cut", "name", "unsigned", "empty", "other key"])
def test_a_forged_cookie_is_nobodys(client: Client, accounts: Accounts, change: str) -> None:
    name, _, value = sign_in(client).cookie("polyscene").partition("=")
    payload, _, rest = value.partition(".")
    other = Sessions(accounts)
    other._serializer.secret_keys = [b"x" * 32]
    lead = accounts.get("Lead")
    assert lead is not None
    as_lead = Sessions(accounts).cookie_value(lead).partition(".")[0]
    forged = {
        "flip": f"{payload[:-2]}{'A' if payload[-2] != 'A' else 'B'}{payload[-1]}.{rest}",
        "cut": value[:-3],
        "name": f"{as_lead}.{rest}",
        "unsigned": payload,
        "empty": "",
        "other key": other.cookie_value(lead),
    }[change]
    assert who(client, f"{name}={value}").status == 200
    assert who(client, f"{name}={forged}").status == 401
    assert who(client, f"polyscene_reviewer=Lead; {name}={forged}").status == 401


def test_a_name_cookie_of_the_time_without_accounts_opens_nothing(client: Client) -> None:
    assert who(client, "polyscene_reviewer=Lead").status == 401


def test_the_session_of_another_store_does_not_count(client: Client, tmp_path: Path) -> None:
    database = Database(tmp_path / "other.sqlite")
    other = Accounts(database, hasher=QUICK)
    other.add("R", role="lead", languages=None, password=PASSWORD)
    with serving(app_on(other)) as elsewhere:
        cookie = sign_in(elsewhere).cookie("polyscene")
        assert who(elsewhere, cookie).status == 200
    assert who(client, cookie).status == 401
    own = sign_in(client).cookie("polyscene").partition("=")[0]
    assert who(client, f"{own}={cookie.partition('=')[2]}").status == 401
    database.close()


def test_a_session_survives_a_restart_and_ends_with_its_account(accounts: Accounts) -> None:
    with serving(app_on(accounts)) as client:
        cookie = sign_in(client).cookie("polyscene")
    with serving(app_on(accounts)) as client:
        assert who(client, cookie).status == 200
        accounts.set_role("R", "lead")
        assert json.loads(who(client, cookie).body)[1] == "lead"
        accounts.set_active("R", False)
        assert who(client, cookie).status == 401
        accounts.set_active("R", True)
        assert who(client, cookie).status == 401, "the old session has ended for good"
        cookie = sign_in(client).cookie("polyscene")
        accounts.set_password("R", "another password")
        assert who(client, cookie).status == 401


def test_a_session_ends_with_its_time(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(accounts)
    account = accounts.get("R")
    assert account is not None
    value = sessions.cookie_value(account)
    cookies = {sessions.cookie_name: value}
    assert sessions.person(cookies) is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SESSION_DAYS * 86_400 + 5)
    assert sessions.person(cookies) is None


def test_a_person_changes_the_password_and_other_sessions_end(
    client: Client, accounts: Accounts
) -> None:
    here, elsewhere = (sign_in(client).cookie("polyscene") for _ in range(2))
    fields = {"current": PASSWORD, "password": "another password", "again": "another password"}
    assert client.post_form("/password", fields).status == 401, "nobody is signed in"
    for wrong, what in (({"current": "x"}, "is wrong"), ({"again": "x"}, "differ")):
        answer = client.post_form("/password", {**fields, **wrong}, cookie=here)
        assert answer.status == 400 and what in answer.text
    short = {**fields, "password": "x", "again": "x"}
    assert "10 to 1,024" in client.post_form("/password", short, cookie=here).text
    assert accounts.authenticate("R", PASSWORD) is not None
    answer = client.post_form("/password", {**fields, "name": "Lead"}, cookie=here)
    assert answer.status == 303 and accounts.authenticate("R", "another password") is not None
    assert accounts.authenticate("Lead", PASSWORD) is not None, "a name in the form is not read"
    assert who(client, answer.cookie("polyscene")).status == 200
    assert who(client, elsewhere).status == who(client, here).status == 401


def test_signing_out_takes_the_cookie_back(client: Client) -> None:
    cookie = sign_in(client).cookie("polyscene")
    answer = client.ask("/sign-out", method="POST", headers={"cookie": cookie})
    assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert client.ask("/sign-out", headers={"cookie": cookie}).status == 405, (
        "a link signs nobody out"
    )


def test_a_link_from_another_site_is_asked_again_with_the_cookie(client: Client) -> None:
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    answer = client.ask("/sign-in?next=/audit", headers={**PAGE, **link})
    assert answer.status == 200 and 'http-equiv="refresh" content="0"' in answer.text
    cookie = sign_in(client).cookie("polyscene")
    again = client.ask("/sign-in?next=/audit", headers={**PAGE, "cookie": cookie})
    assert (again.status, again.headers["location"]) == (303, "/audit")


def test_an_invitation_makes_an_account_signs_in_and_works_once(
    client: Client, accounts: Accounts
) -> None:
    token = accounts.invite(role="reviewer", languages=frozenset({"fa"}), created_by="Lead")
    page = client.ask(f"/invite/{token}")
    assert page.status == 200 and "as a reviewer, for Persian" in page.text
    fields = {"name": "New", "password": PASSWORD, "again": PASSWORD}
    differ = client.post_form(f"/invite/{token}", {**fields, "again": "x"})
    assert differ.status == 400 and "differ" in differ.text and PASSWORD not in differ.text
    answer = client.post_form(f"/invite/{token}", fields)
    assert answer.status == 303
    assert json.loads(who(client, answer.cookie("polyscene")).body) == ["New", "reviewer", ["fa"]]
    assert client.ask(f"/invite/{token}").status == 404
    reused = client.post_form(f"/invite/{token}", {**fields, "name": "Other"})
    assert reused.status == 404 and accounts.get("Other") is None


def test_an_invitation_gives_no_other_role_than_its_own(client: Client, accounts: Accounts) -> None:
    token = accounts.invite(role="reviewer", languages=None, created_by="Lead")
    fields = {"name": "New", "password": PASSWORD, "again": PASSWORD, "role": "lead"}
    assert client.post_form(f"/invite/{token}", fields).status == 303
    found = accounts.get("New")
    assert found is not None and found.role == "reviewer"


@pytest.mark.parametrize("token", ["x", "a" * 100, "..%2f", "%00", "a" * 5_000, "%ED%A0%80"])
def test_a_token_that_never_was_is_no_invitation(client: Client, token: str) -> None:
    assert client.ask(f"/invite/{token}").status in (401, 404)


@pytest.mark.parametrize(
    "body", [b"name=%ED%A0%80&password=x", b"\xff\xfe", b"a=1&" * 100, b"name=%00&password=%00"]
)
def test_a_form_that_cannot_be_read_is_refused(client: Client, body: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert client.ask("/sign-in", method="POST", body=body, headers=kind).status in (400, 401)
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert client.ask("/sign-in", method="POST", body=b"--x--", headers=kind).status == 400


def test_what_people_call_themselves_is_never_markup(client: Client, accounts: Accounts) -> None:
    evil = '"><script>alert(1)</script>'
    token = accounts.invite(role="reviewer", languages=None, created_by=evil)
    pages = [
        client.ask(f"/invite/{token}"),
        client.ask(f"/sign-in?next=/{evil.replace(' ', '')}"),
        sign_in(client, evil, "x", next=f"/{evil}"),
        client.post_form(f"/invite/{token}", {"name": evil * 9, "password": "x", "again": "x"}),
    ]
    for page in pages:
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "script-src" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"


def test_without_accounts_a_name_is_enough_and_everybody_is_a_lead(tmp_path: Path) -> None:
    database = Database(tmp_path / "alone.sqlite")
    accounts = Accounts(database, hasher=QUICK)
    with serving(app_on(accounts)) as client:
        assert json.loads(client.ask("/").body) is None
        assert json.loads(who(client, "polyscene_reviewer=%D9%86%D9%88%D8%B1").body)[:2] == [
            "نور", "lead",
        ]  # fmt: skip
        status = json.loads(client.ask("/api/status", method="POST").body)
        assert (status["ok"], status["sign_in"], status["reviewer"]) == (True, None, None)
        assert client.ask("/sign-in").headers["location"] == "/"
        accounts.add("Lead", role="lead", languages=None, password=PASSWORD)
        assert who(client, "polyscene_reviewer=x").status == 401, "at once, not after a restart"
    database.close()


def test_a_store_that_cannot_be_read_lets_nobody_in_and_names_no_path(
    accounts: Accounts, tmp_path: Path
) -> None:
    with serving(app_on(accounts)) as client:
        cookie = sign_in(client).cookie("polyscene")
        accounts._db.close()
        answer = who(client, cookie)
    assert answer.status == 503 and str(tmp_path) not in answer.text


def test_below_a_root_path_and_behind_tls_the_cookie_is_scoped_and_secure(
    accounts: Accounts,
) -> None:
    border = make_border(
        "127.0.0.1",
        allowed_hosts=["review.example.org"],
        proxies=["127.0.0.1"],
        root_path="/review",
    )
    forwarded = {"X-Forwarded-Host": "review.example.org", "X-Forwarded-Proto": "https"}
    fields = {"name": "R", "password": PASSWORD, "next": "/review/audit"}
    with serving(app_on(accounts, border)) as client:
        answer = client.post_form("/sign-in", fields, **forwarded)
        page = client.ask("/review/audit", headers={**PAGE, **forwarded})
        form = client.ask("/review/sign-in", headers={**PAGE, **forwarded})
    assert "Path=/review;" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["location"] == "/review/audit"
    assert page.headers["location"] == "/review/sign-in?next=%2Faudit"
    assert set(re.findall(r'(?:action|href)="([^"]+)"', form.text)) == {
        "/review/sign-in", "/review/ui/shared/sign_in.css", "/review/ui/shared/icon.svg",
    }  # fmt: skip
