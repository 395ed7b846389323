"""Downloads, listings, references: what a revision shows."""

import hashlib

import pytest

from builder.local_hub.storage.blobs import git_blob_oid
from tests.local_hub.conftest import Caller, put, put_lfs


@pytest.fixture
def repo(owner: Caller) -> str:
    """A dataset with a small file and an LFS file."""
    if owner.get("/api/datasets/demo/files").status_code == 200:
        return "demo/files"
    repo = owner.create("files")
    sha256 = owner.upload_lfs(repo, bytes(range(256)))
    owner.commit(repo, put("ä/b c#?.txt", "grüße".encode()), put_lfs("x.bin", sha256, 256))
    return repo


def test_download_carries_commit_and_content_hashes(owner: Caller, repo: str) -> None:
    lfs = owner.get(f"/datasets/{repo}/resolve/main/x.bin")
    sha256 = hashlib.sha256(bytes(range(256))).hexdigest()
    assert lfs.content == bytes(range(256))
    assert lfs.headers["ETag"] == lfs.headers["X-Linked-Etag"] == f'"{sha256}"'
    assert lfs.headers["X-Linked-Size"] == "256"
    assert lfs.headers["X-Repo-Commit"] == owner.head(repo)
    path = f"/datasets/{repo}/resolve/main/%C3%A4/b%20c%23%3F.txt"
    regular = owner.request("HEAD", path)
    assert regular.status_code == 200
    assert regular.content == b""
    assert regular.headers["Content-Length"] == "7"
    assert regular.headers["ETag"] == f'"{git_blob_oid("grüße".encode())}"'
    assert owner.get(path).text == "grüße"


def test_ranges_are_served(owner: Caller, repo: str) -> None:
    path = f"/datasets/{repo}/resolve/main/x.bin"
    for asked, content in (("0-3", 0), ("250-", 250), ("-6", 250), ("250-999", 250)):
        answer = owner.get(path, headers={"Range": f"bytes={asked}"})
        assert answer.status_code == 206
        expected = bytes(range(content, 256)) if content else bytes(range(4))
        assert answer.content == expected
        assert answer.headers["Content-Range"].endswith("/256")
    assert owner.get(path, headers={"Range": "bytes=256-"}).status_code == 416


def test_absences_have_their_own_codes(owner: Caller, repo: str) -> None:
    cases = {
        f"/datasets/{repo}/resolve/main/none.txt": "EntryNotFound",
        f"/datasets/{repo}/resolve/main/%C3%A4": "EntryNotFound",
        f"/datasets/{repo}/resolve/v9/x.bin": "RevisionNotFound",
        f"/datasets/{repo}/resolve/{'0' * 40}/x.bin": "RevisionNotFound",
        f"/datasets/{repo}/resolve/refs%2Fconvert%2Fparquet/x.bin": "RevisionNotFound",
        "/datasets/demo/none/resolve/main/x.bin": "RepoNotFound",
        f"/api/datasets/{repo}/tree/main/none": "EntryNotFound",
        f"/api/datasets/{repo}/revision/none": "RevisionNotFound",
        "/api/datasets/none": "RepoNotFound",
    }
    for path, code in cases.items():
        answer = owner.get(path)
        assert (answer.status_code, answer.headers.get("X-Error-Code")) == (404, code), path
    entry = owner.get(f"/datasets/{repo}/resolve/main/none.txt")
    assert entry.headers["X-Repo-Commit"] == owner.head(repo)


def test_unknown_addresses_are_plain_404(owner: Caller, repo: str) -> None:
    for path in ("/api/agent-harnesses", "/nothing", f"/api/datasets/{repo}/xet-read-token/main"):
        answer = owner.get(path)
        assert answer.status_code == 404
        assert "X-Error-Code" not in answer.headers
        assert answer.json()["error"]
    assert owner.post("/api/whoami-v2").status_code == 405


def test_encoded_traversal_reaches_nothing(owner: Caller, repo: str) -> None:
    for path in ("..%2F..%2Fhub.sqlite3", "%2e%2e/%2e%2e/signing-key", "%2Fetc%2Fpasswd", "%00"):
        for prefix in (f"/datasets/{repo}/resolve/main/", f"/api/datasets/{repo}/tree/main/"):
            assert owner.get(prefix + path).status_code == 404
    assert owner.get(f"/datasets/{repo}/resolve/%2e%2e/x").status_code == 404
    assert owner.get(f"/datasets/{repo}/resolve/main/%ff").status_code == 400


def test_tree_shows_folders_files_and_lfs_facts(owner: Caller, repo: str) -> None:
    top = owner.get(f"/api/datasets/{repo}/tree/main").json()
    assert [(e["type"], e["path"]) for e in top] == [
        ("file", ".gitattributes"),
        ("file", "x.bin"),
        ("directory", "ä"),
    ]
    assert top[1]["lfs"]["oid"] == hashlib.sha256(bytes(range(256))).hexdigest()
    assert top[1]["size"] == top[1]["lfs"]["size"] == 256
    inner = owner.get(f"/api/datasets/{repo}/tree/main/%C3%A4").json()
    assert [e["path"] for e in inner] == ["ä/b c#?.txt"]
    infos = owner.post(
        f"/api/datasets/{repo}/paths-info/main",
        data={"paths": ["ä", "x.bin", "none"], "expand": "true"},
    ).json()
    assert [(e["path"], e["type"]) for e in infos] == [("ä", "directory"), ("x.bin", "file")]
    assert infos[0]["lastCommit"]["title"] == "a change"


def test_last_commit_of_a_path_is_the_one_that_changed_it(owner: Caller) -> None:
    repo = owner.create("ages")
    owner.commit(repo, put("a", b"1"), put("d/b", b"1"), title="one")
    owner.commit(repo, put("d/b", b"2"), title="two")
    owner.commit(repo, put("c", b"1"), title="three")
    tree = owner.get(f"/api/datasets/{repo}/tree/main?recursive=true&expand=true").json()
    titles = {entry["path"]: entry["lastCommit"]["title"] for entry in tree}
    assert titles.pop(".gitattributes") == "initial commit"
    assert titles == {"a": "one", "c": "three", "d": "two", "d/b": "two"}


def test_long_listings_come_in_pages(owner: Caller) -> None:
    repo = owner.create("long")
    owner.commit(repo, *[put(f"d/{number:03}.txt", b"x") for number in range(120)])
    path, seen = f"/api/datasets/{repo}/tree/main?recursive=True", list[str]()
    num_pages = 0
    while path:
        answer = owner.get(path)
        seen += [entry["path"] for entry in answer.json() if entry["type"] == "file"]
        path = answer.links.get("next", {}).get("url", "")
        num_pages += 1
    assert num_pages == 3
    assert seen == [".gitattributes", *(f"d/{number:03}.txt" for number in range(120))]


def test_tags_and_branches_live_and_die(owner: Caller) -> None:
    repo = owner.create("refs")
    api = f"/api/datasets/{repo}"
    first = owner.commit(repo, put("a", b"1")).json()["commitOid"]
    assert owner.post(f"{api}/tag/main", json={"tag": "v1.0.0", "message": "m"}).status_code == 200
    assert owner.post(f"{api}/branch/feature%2Fx", json={"startingPoint": "v1.0.0"}).is_success
    second = owner.commit(repo, put("a", b"2"), branch="feature%2Fx").json()["commitOid"]
    assert owner.post(f"{api}/tag/{second}", json={"tag": "v2"}).is_success
    refs = owner.get(f"{api}/refs").json()
    assert {ref["name"]: ref["targetCommit"] for ref in refs["branches"]} == {
        "main": first,
        "feature/x": second,
    }
    assert [(ref["ref"], ref["targetCommit"]) for ref in refs["tags"]] == [
        ("refs/tags/v1.0.0", first),
        ("refs/tags/v2", second),
    ]
    for revision in ("v2", "refs%2Ftags%2Fv2", "feature%2Fx", "refs%2Fheads%2Ffeature%2Fx", second):
        assert owner.get(f"/datasets/{repo}/resolve/{revision}/a").text == "2"

    for path, body in ((f"{api}/tag/main", {"tag": "v2"}), (f"{api}/branch/main", {})):
        assert owner.post(path, json=body).status_code == 409
    assert owner.head(repo, "v2") == second
    assert owner.request("DELETE", f"{api}/branch/main").status_code == 403
    assert owner.request("DELETE", f"{api}/branch/feature%2Fx").is_success
    assert owner.request("DELETE", f"{api}/tag/v2").is_success
    assert owner.request("DELETE", f"{api}/tag/v2").status_code == 404
    assert owner.get(f"/datasets/{repo}/resolve/{second}/a").text == "2"


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a..b", "-a", "a~1", "x.lock", "refs/tags/a", "a/", ".a", "0" * 40, 7, "a\0"],
)
def test_forbidden_reference_names_are_refused(owner: Caller, repo: str, name: object) -> None:
    answer = owner.post(f"/api/datasets/{repo}/tag/main", json={"tag": name})
    assert answer.status_code == 400


def test_repository_names_are_checked(owner: Caller) -> None:
    for name in ("", "a/b", "..", "a--b", "x.git", "-a", "ä", "a" * 97, None, 7):
        body = {"name": name, "organization": "demo", "type": "dataset"}
        assert owner.post("/api/repos/create", json=body).status_code == 400, name
    body = {"name": "s", "organization": "demo", "type": "space"}
    assert owner.post("/api/repos/create", json=body).status_code == 400


def test_existing_repository_is_a_conflict_with_its_address(owner: Caller) -> None:
    repo = owner.create("twice")
    body = {"name": "Twice", "organization": "demo", "type": "dataset"}
    answer = owner.post("/api/repos/create", json=body)
    assert answer.status_code == 409
    assert answer.json()["url"].lower().endswith(f"/datasets/{repo}")
    moved = {"fromRepo": repo, "toRepo": "demo/files2", "type": "dataset"}
    assert owner.post("/api/repos/move", json=moved).is_success
    assert owner.get("/api/datasets/demo/files2").is_success
    assert owner.get(f"/api/datasets/{repo}").status_code == 404


def test_card_is_parsed_for_tags_and_search(owner: Caller) -> None:
    repo = owner.create("carded")
    lines = "---|license: mit|language: [fr, en]|tags: [x]|version: 0.1.0|when: 2026-01-02|---|Hi"
    owner.commit(repo, put("README.md", lines.replace("|", "\n").encode()))
    info = owner.get(f"/api/datasets/{repo}").json()
    assert info["cardData"]["version"] == "0.1.0"
    assert info["cardData"]["when"] == "2026-01-02"
    assert {"license:mit", "language:fr", "language:en", "x"} <= set(info["tags"])
    found = owner.get("/api/datasets?filter=language:fr&filter=license:mit&search=card").json()
    assert [info["id"] for info in found] == [repo]
    assert owner.get("/api/datasets?filter=language:de").json() == []


BOMB = (
    "---\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 10)}]\n" for n in range(9))
    + "---\n"
)


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ("---\nlicense: mit\n---\n# x", 200, None),
        ("# no metadata", 200, "empty or missing"),
        ("---\n---\n", 200, "empty or missing"),
        ("---\na: [1\n---\n", 400, "invalid YAML"),
        ("---\n- a\n---\n", 400, "mapping"),
        ("---\nlanguage: [1]\n---\n", 400, '"language"'),
        ("---\nconfigs: [{}]\n---\n", 400, "config_name"),
        ("---\na: &a [*a]\n---\n", 400, "invalid YAML"),
        (BOMB, 400, "500000 values"),
        ("---\n!!python/object/apply:os.system ['true']\n---\n", 400, "invalid YAML"),
    ],
)
def test_readme_metadata_is_validated(
    owner: Caller, content: str, status: int, words: str | None
) -> None:
    body = {"content": content, "repoType": "dataset"}
    answer = owner.post("/api/validate-yaml", json=body)
    assert answer.status_code == status
    said = answer.json()["errors"] + answer.json()["warnings"]
    assert [words in line["message"] for line in said] == ([True] if words else [])


def test_pages_escape_what_users_wrote(owner: Caller, anonymous: Caller) -> None:
    repo = owner.create("page")
    owner.commit(repo, put("<b>&.txt", b"1"), title="<script>alert(1)</script>")
    listing, page = anonymous.get("/").text, anonymous.get(f"/datasets/{repo}").text
    assert repo in listing
    assert "not for production" in listing
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;.txt" in page
    assert "<script>" not in page
    assert anonymous.get("/datasets/demo/none").status_code == 401


def test_squashing_leaves_one_commit_with_the_same_files(owner: Caller) -> None:
    repo = owner.create("squash")
    owner.commit(repo, put("a", b"1"))
    owner.commit(repo, put("b", b"2"))
    assert owner.post(f"/api/datasets/{repo}/super-squash/main", json={"message": "one"}).is_success
    history = owner.get(f"/api/datasets/{repo}/commits/main").json()
    assert [commit["title"] for commit in history] == ["one"]
    assert owner.paths(repo) == ["a", "b"]


def test_model_repositories_work_alike(owner: Caller) -> None:
    assert owner.post("/api/repos/create", json={"name": "net"}).json()["url"].endswith("/demo/net")
    lines = b'{"key": "header", "value": {"summary": "s"}}\n' + (
        b'{"key": "file", "value": {"path": "config.json", "content": "{}", "encoding": "utf-8"}}'
    )
    assert owner.post("/api/models/demo/net/commit/main", content=lines).is_success
    assert owner.get("/demo/net/resolve/main/config.json").text == "{}"
    assert owner.get("/api/datasets/demo/net").status_code == 404
    assert [info["id"] for info in owner.get("/api/models").json()] == ["demo/net"]
