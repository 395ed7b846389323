"""Who may see and change what, in the status and error codes that clients know."""

import pytest

from tests.hub_server import RunningHub
from tests.local_hub.conftest import Caller, put


def test_whoami_tells_user_and_role(owner: Caller, reader: Caller, anonymous: Caller) -> None:
    for caller, role in ((owner, "write"), (reader, "read")):
        answer = caller.get("/api/whoami-v2").json()
        assert answer["name"] == "demo"
        assert answer["auth"]["accessToken"]["role"] == role
    assert anonymous.get("/api/whoami-v2").status_code == 401


def test_unknown_token_is_refused_everywhere_even_for_public_data(
    hub: RunningHub, owner: Caller
) -> None:
    repo = owner.create("known")
    for path in ("/api/whoami-v2", f"/api/datasets/{repo}", f"/datasets/{repo}/resolve/main/x"):
        with Caller(hub.url, "hub_nobody") as unknown:
            answer = unknown.get(path)
        assert answer.status_code == 401
        assert answer.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
        assert "hub_nobody" not in answer.text


def test_private_repository_looks_absent_to_others(
    owner: Caller, reader: Caller, stranger: Caller, anonymous: Caller
) -> None:
    repo = owner.create("secret", private=True)
    assert owner.commit(repo, put("a.txt", b"a")).status_code == 200
    for path in (f"/api/datasets/{repo}", f"/datasets/{repo}/resolve/main/a.txt"):
        assert reader.get(path).status_code == 200
        for caller, status in ((stranger, 404), (anonymous, 401)):
            answer = caller.get(path)
            absent = caller.get(path.replace("secret", "no-such"))
            assert (answer.status_code, absent.status_code) == (status, status)
            assert answer.headers["X-Error-Code"] == "RepoNotFound"
            assert answer.json() == absent.json()
    for caller, shown in ((owner, True), (reader, True), (stranger, False), (anonymous, False)):
        listed = [info["id"] for info in caller.get("/api/datasets?author=demo").json()]
        assert (repo in listed) is shown
    assert "secret" not in anonymous.get("/").text
    assert stranger.commit(repo, put("b.txt", b"b")).status_code == 404


def test_private_can_become_public(owner: Caller, anonymous: Caller) -> None:
    repo = owner.create("shy", private=True)
    settings = {"visibility": "public"}
    assert anonymous.get(f"/api/datasets/{repo}").status_code == 401
    assert owner.request("PUT", f"/api/datasets/{repo}/settings", json=settings).status_code == 200
    assert anonymous.get(f"/api/datasets/{repo}").json()["private"] is False


def move(owner: Caller, source: str, target: str) -> int:
    body = {"fromRepo": source, "toRepo": target, "type": "dataset"}
    return owner.post("/api/repos/move", json=body).status_code


def test_names_that_differ_in_letter_case_alone_are_one_name(owner: Caller) -> None:
    owner.create("pictures")
    foreign = owner.create("foreign")
    body = {"name": "PICTURES", "organization": "demo", "type": "dataset"}
    assert owner.post("/api/repos/create", json=body).status_code == 409
    assert move(owner, foreign, "demo/PICTURES") == 409
    assert owner.get(f"/api/datasets/{foreign}").status_code == 200
    assert move(owner, foreign, "demo/Foreign") == 200, "its own name in other letters is free"
    assert move(owner, "demo/Foreign", "demo/elsewhere") == 200
    assert move(owner, "demo/pictures", "demo/elsewhere") == 409


def test_what_the_hub_lacks_it_says_in_words_and_hides_what_is_private(
    owner: Caller, stranger: Caller
) -> None:
    api = f"/api/datasets/{owner.create('lacking', private=True)}"
    assert owner.get(f"{api}/discussions").json()["discussions"] == []
    for method, path, words in (
        ("POST", "discussions/1/comment/1/edit", "neither edits nor hides comments"),
        ("GET", "lfs-files", "neither lists nor deletes LFS files"),
        ("POST", "lfs-files/batch", "neither lists nor deletes LFS files"),
    ):
        answer = owner.request(method, f"{api}/{path}", json={})
        assert answer.status_code == 501 and words in answer.headers["X-Error-Message"]
        assert stranger.request(method, f"{api}/{path}", json={}).status_code == 404
    assert stranger.get(f"{api}/discussions").status_code == 404


CHANGES = [
    ("POST", "/api/repos/create", {"name": "new", "organization": "demo", "type": "dataset"}),
    ("DELETE", "/api/repos/delete", {"name": "fixed", "organization": "demo", "type": "dataset"}),
    ("POST", "/api/repos/move", {"fromRepo": "demo/fixed", "toRepo": "demo/x", "type": "dataset"}),
    ("PUT", "/api/datasets/demo/fixed/settings", {"visibility": "private"}),
    ("POST", "/api/datasets/demo/fixed/tag/main", {"tag": "v9"}),
    ("DELETE", "/api/datasets/demo/fixed/tag/v1", None),
    ("POST", "/api/datasets/demo/fixed/branch/dev", {}),
    ("DELETE", "/api/datasets/demo/fixed/branch/old", None),
    ("POST", "/api/datasets/demo/fixed/super-squash/main", {"message": "m"}),
    ("POST", "/api/datasets/demo/fixed/preupload/main", {"files": []}),
    ("POST", "/api/datasets/demo/fixed/commit/main", {}),
    ("GET", "/api/datasets/demo/fixed/xet-write-token/main", None),
    ("GET", "/api/datasets/demo/fixed/auth-check/write", None),
    (
        "POST",
        "/datasets/demo/fixed.git/info/lfs/objects/batch",
        {"objects": [], "ref": {"name": "main"}},
    ),
    ("POST", "/api/datasets/demo/fixed/discussions/1/merge", None),
    ("POST", "/api/datasets/demo/fixed/discussions/1/status", {"status": "closed"}),
    ("POST", "/api/datasets/demo/fixed/discussions/1/title", {"title": "mine"}),
    ("POST", "/api/datasets/demo/fixed/commit/refs%2Fpr%2F1", {}),
]


def test_every_change_needs_the_owners_write_token(
    owner: Caller, reader: Caller, stranger: Caller, anonymous: Caller
) -> None:
    repo = owner.create("fixed")
    assert owner.post(f"/api/datasets/{repo}/tag/main", json={"tag": "v1"}).status_code == 200
    assert owner.post(f"/api/datasets/{repo}/branch/old", json={}).status_code == 200
    request = {"title": "a change", "pullRequest": True}
    assert owner.post(f"/api/datasets/{repo}/discussions", json=request).json()["num"] == 1
    refs, head = owner.get(f"/api/datasets/{repo}/refs").json(), owner.head(repo)
    for method, path, body in CHANGES:
        for caller, status in ((reader, 403), (stranger, 403), (anonymous, 401)):
            answer = caller.request(method, path, json=body)
            assert answer.status_code == status, (method, path, answer.text)
            assert answer.headers["X-Error-Message"]
    assert owner.get(f"/api/datasets/{repo}/refs").json() == refs
    assert owner.head(repo) == head


def test_organisation_members_write_to_its_repositories() -> None:
    from builder.local_hub.auth import Accounts

    account = Accounts.from_tokens({"t": ["ann", "write", "lab"]}).identify("Bearer t")
    assert account is not None
    assert account.owns("lab")
    assert account.owns("ann")
    assert not account.owns("other")


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[]", "{}", '{"t0ken": ["u"]}', '{"t0ken": ["u", "admin"]}', '{"t0ken": 1}'],
)
def test_malformed_tokens_variable_is_refused_without_repeating_it(text: str) -> None:
    from builder.local_hub import parse_tokens

    with pytest.raises(ValueError) as error:
        parse_tokens(text)
    assert "t0ken" not in str(error.value)


def test_upload_addresses_are_signed_and_bound_to_their_content(owner: Caller) -> None:
    repo = owner.create("signed")
    action = owner.lfs_action(repo, "a" * 64, 3)
    assert action is not None
    address, ticket = action["href"].split("?ticket=")
    forged = f"{address}?ticket={ticket[:-1]}{'0' if ticket[-1] != '0' else '1'}"
    assert owner.request("PUT", forged, content=b"abc").status_code == 403
    other_use = address.replace("object", "part")
    assert owner.request("PUT", f"{other_use}?ticket={ticket}", content=b"abc").status_code == 403
    assert owner.request("PUT", address, content=b"abc").status_code == 403


def test_tickets_expire() -> None:
    from builder.local_hub.errors import HubError
    from builder.local_hub.tickets import LIFETIME_S, Ticket, TicketOffice

    now_s = 1000.0
    office = TicketOffice(b"key", lambda: now_s)
    ticket = Ticket("object", 1, "a" * 64, 3)
    text = office.issue(ticket)
    assert office.check(text, "object") == ticket
    now_s += LIFETIME_S + 1
    with pytest.raises(HubError, match="expired"):
        office.check(text, "object")


def test_knowing_a_hash_does_not_give_access_to_anothers_content(
    hub: RunningHub, owner: Caller, stranger: Caller
) -> None:
    repo = owner.create("vault", private=True)
    sha256 = owner.upload_lfs(repo, b"only for demo")
    body = {"name": "thief", "organization": "other", "type": "dataset"}
    assert stranger.post("/api/repos/create", json=body).status_code == 200
    assert stranger.lfs_action("other/thief", sha256, 13) is not None
    line = {"key": "lfsFile", "value": {"path": "x", "algo": "sha256", "oid": sha256, "size": 13}}
    answer = stranger.commit("other/thief", line)
    assert answer.status_code == 400
    assert "Upload it first" in answer.json()["error"]
