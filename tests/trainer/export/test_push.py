"""Pushing to a real Hub on loopback: one commit, guarded by its parent, and nobody's file lost."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import httpx

from tests.hub_server import (
    OTHER_TOKEN,
    READ_TOKEN,
    WRITE_TOKEN,
    RunningHub,
    run_client,
    running_hub,
)
from tests.publish.faulty_hub import Fault, FaultyHub
from trainer.export import push as push_module
from trainer.export.hub import (
    HubAccessError,
    HubConflictError,
    HubError,
    HubUnreachableError,
    ModelRepo,
)
from trainer.export.push import Pushed, push
from trainer.export.record import RECORD_NAME, ExportError, check_export

# The client's plain uploads.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

#: A card by hand, with the head that the client warns of where it is missing.
BY_HAND = "---\nlicense: mit\n---\nWords of somebody else."

_LOAD = """
import sys
from PIL import Image
from sentence_transformers import SentenceTransformer
for name in sys.argv[1:]:
    model = SentenceTransformer(name, trust_remote_code=True, device="cpu")
    print(model.encode(["ein roter Kreis", Image.new("RGB", (48, 48), "red")]).tolist())
"""


@pytest.fixture(scope="module")
def faulty() -> FaultyHub:
    return FaultyHub()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, faulty: FaultyHub) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub") / "hub", wrap=faulty.wrap) as running:
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of its own for each test, not yet made."""
    return f"demo/m{abs(hash(request.node.nodeid)):x}"


def send(hub: RunningHub, directory: Path, name: str, **options: object) -> Pushed:
    settings = {"endpoint": hub.url, "token": WRITE_TOKEN, **options}
    return push(directory, name, **settings)  # pyright: ignore[reportArgumentType]


def api(hub: RunningHub) -> HfApi:
    return HfApi(endpoint=hub.url, token=WRITE_TOKEN)


def commits(hub: RunningHub, name: str) -> list[str]:
    return [commit.title for commit in api(hub).list_repo_commits(name)]


def content(hub: RunningHub, name: str, path: str) -> bytes:
    answer = httpx.get(f"{hub.url}/{name}/resolve/main/{path}", follow_redirects=True)
    return answer.raise_for_status().content


def put(hub: RunningHub, name: str, path: str, data: bytes) -> None:
    api(hub).create_commit(name, [CommitOperationAdd(path, data)], commit_message="by hand")


def written(hub: RunningHub, num_before: int) -> list[str]:
    return [line for line in hub.requests[num_before:] if not line.startswith(("GET", "HEAD"))]


def test_a_model_is_pushed_as_one_commit_and_loads_from_the_hub(
    hub: RunningHub, exported: Path, name: str, tmp_path: Path
) -> None:
    (exported / "LICENSE").write_text("mine")
    pushed = send(hub, exported, name)
    assert commits(hub, name)[:-1] == ["Model trained on shapes@0.1.0"]
    assert (pushed.is_new, pushed.url) == (True, f"{hub.url}/{name}")
    there = set(api(hub).list_repo_files(name)) - {".gitattributes"}
    assert there == {*check_export(exported).files, RECORD_NAME, "LICENSE"} == set(pushed.uploads)
    assert f'SentenceTransformer("{name}"' in content(hub, name, "README.md").decode()
    local, remote = run_client(_LOAD, hub.url, tmp_path / "home", str(exported), name).splitlines()
    assert json.loads(remote) == json.loads(local)


def test_pushing_again_sends_nothing(hub: RunningHub, exported: Path, name: str) -> None:
    first = send(hub, exported, name)
    num_before = len(hub.requests)
    again = send(hub, exported, name)
    assert (again.commit, again.uploads, again.deletions) == (first.commit, {}, ())
    assert written(hub, num_before) == []
    assert "nothing to do" in again.describe()[-1]


def test_only_what_changed_is_sent_and_what_the_model_lost_is_deleted(
    hub: RunningHub, exported: Path, name: str
) -> None:
    send(hub, exported, name)
    (exported / "README.md").write_text("---\nlicense: mit\n---\nBetter words.")
    record = check_export(exported)
    files = {path: entry for path, entry in record.files.items() if path != "heads.py"}
    (exported / RECORD_NAME).write_bytes(record.model_copy(update={"files": files}).to_bytes())
    second = send(hub, exported, name, message="Second try")
    assert set(second.uploads) == {"README.md", RECORD_NAME}
    assert second.deletions == ("heads.py",)
    assert commits(hub, name)[0] == "Second try"
    assert "heads.py" not in api(hub).list_repo_files(name)
    third = send(hub, exported, name)
    assert third.commit == second.commit


def test_files_of_others_are_kept(hub: RunningHub, exported: Path, name: str) -> None:
    api(hub).create_repo(name)
    put(hub, name, "onnx/model.onnx", b"by somebody")
    put(hub, name, "README.md", b"---\nlicense: mit\n---\n")  # as the Hub's own form leaves it
    pushed = send(hub, exported, name)
    assert pushed.num_kept == 1 and not pushed.is_new
    assert content(hub, name, "onnx/model.onnx") == b"by somebody"
    assert send(hub, exported, name).num_kept == 1


@pytest.mark.parametrize("path", ["README.md", "model.safetensors"])
def test_a_file_of_the_same_name_by_somebody_else_is_not_replaced(
    hub: RunningHub, exported: Path, name: str, path: str
) -> None:
    api(hub).create_repo(name)
    put(hub, name, path, BY_HAND.encode())
    num_before = len(hub.requests)
    with pytest.raises(HubError, match=rf"main has {path}.*Nothing was changed.*--adopt"):
        send(hub, exported, name)
    assert not [line for line in written(hub, num_before) if "commit" in line]
    send(hub, exported, name, adopt=True)
    assert content(hub, name, path) != BY_HAND.encode()


def test_a_card_edited_on_the_hub_is_not_replaced(
    hub: RunningHub, exported: Path, name: str
) -> None:
    send(hub, exported, name)
    put(hub, name, "README.md", BY_HAND.encode())
    with pytest.raises(HubError, match=r"README\.md"):
        send(hub, exported, name)
    assert content(hub, name, "README.md") == BY_HAND.encode()


def test_a_file_edited_by_others_is_not_deleted(hub: RunningHub, exported: Path, name: str) -> None:
    send(hub, exported, name)
    mended = content(hub, name, "heads.py").replace(b"class", b"CLASS")  # just as long
    put(hub, name, "heads.py", mended)
    record = check_export(exported)
    files = {path: entry for path, entry in record.files.items() if path != "heads.py"}
    (exported / RECORD_NAME).write_bytes(record.model_copy(update={"files": files}).to_bytes())
    assert send(hub, exported, name).deletions == ()
    assert content(hub, name, "heads.py") == mended


def test_a_dry_run_says_what_would_go_and_changes_nothing(
    hub: RunningHub, exported: Path, name: str
) -> None:
    num_before = len(hub.requests)
    planned = send(hub, exported, name, dry_run=True)
    assert written(hub, num_before) == []
    assert not api(hub).repo_exists(name)
    lines = planned.describe()
    assert f"upload model.safetensors ({planned.uploads['model.safetensors']:,} bytes)" in lines
    assert "nothing was sent (dry run)" in lines[-1] and lines[-1].startswith(f"{hub.url}/{name}:")
    assert send(hub, exported, name).uploads == planned.uploads


def test_a_new_repository_is_private_where_asked_and_an_old_one_stays_as_it_is(
    hub: RunningHub, exported: Path, name: str
) -> None:
    send(hub, exported, name, private=True)
    assert api(hub).model_info(name).private
    (exported / "README.md").write_text(BY_HAND)
    send(hub, exported, name, private=False)
    assert api(hub).model_info(name).private


def test_of_two_pushes_at_once_one_wins_and_the_other_hears_of_it(
    hub: RunningHub, exported: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(hub, exported, name)
    barrier, outcomes = threading.Barrier(2), []
    commit = ModelRepo.commit

    def together(*arguments: object) -> str:
        barrier.wait(20)
        return commit(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ModelRepo, "commit", together)

    def one(number: int) -> None:
        directory = shutil.copytree(exported, tmp_path / str(number))
        (directory / "README.md").write_text(f"{BY_HAND} {number}")
        try:
            outcomes.append(send(hub, directory, name).commit)
        except HubConflictError as exc:
            outcomes.append(str(exc))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("somebody else changed" in outcome for outcome in outcomes) == [False, True]
    assert len(commits(hub, name)) == 3


def test_a_half_written_export_is_not_pushed(hub: RunningHub, exported: Path, name: str) -> None:
    (exported / "model.safetensors").unlink()
    num_before = len(hub.requests)
    with pytest.raises(ExportError, match=r"incomplete: model\.safetensors is missing"):
        send(hub, exported, name)
    assert hub.requests[num_before:] == []


def test_a_file_that_changes_while_it_is_uploaded_is_not_committed(
    hub: RunningHub, exported: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = push_module.check_export

    def check_then_change(directory: Path) -> object:
        record = check(directory)
        weights = directory / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        return record

    monkeypatch.setattr(push_module, "check_export", check_then_change)
    with pytest.raises(ExportError, match=r"model\.safetensors changed while it was uploaded"):
        send(hub, exported, name)
    assert commits(hub, name) == commits(hub, name)[-1:]


@pytest.mark.parametrize("token", [READ_TOKEN, OTHER_TOKEN, "hf_wrong_token", None])
def test_a_token_that_may_not_is_said_without_being_shown(
    hub: RunningHub,
    exported: Path,
    name: str,
    token: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(HubAccessError) as caught:
        send(hub, exported, name, token=token)
    message = str(caught.value)
    assert "\n" not in message and f"{name} on {hub.url}" in message
    assert token is None or token not in message
    assert "HF_TOKEN" in message or "write role" in message


def test_a_server_that_repeats_the_token_does_not_bring_it_into_the_message(
    exported: Path, name: str
) -> None:
    from trainer.export.hub import _from_response

    request = httpx.Request("POST", "http://hub/api")
    answer = httpx.Response(403, request=request, headers={"X-Error-Message": "bad hf_secret\n!"})
    from huggingface_hub.errors import HfHubHTTPError

    error = HfHubHTTPError("", response=answer, server_message="bad hf_secret\n!")
    message = str(_from_response(error, "somewhere", "hf_secret"))
    assert "hf_secret" not in message and "bad (token) !" in message


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("503", HubUnreachableError, "cannot answer just now"),
        ("412", HubConflictError, "somebody else changed"),
        ("reset", HubUnreachableError, "Run the same command again"),
    ],
)
def test_a_failing_hub_is_one_line_and_the_same_command_goes_on(
    hub: RunningHub,
    faulty: FaultyHub,
    exported: Path,
    name: str,
    kind: str,
    error: type[HubError],
    words: str,
) -> None:
    faulty.fault = Fault("POST .*/commit/main", kind, times=100)
    try:
        with pytest.raises(error, match=words) as caught:
            send(hub, exported, name)
        assert "\n" not in str(caught.value)
    finally:
        faulty.fault = None
    send(hub, exported, name)
    assert len(commits(hub, name)) == 2


def test_a_commit_whose_answer_was_lost_is_found_by_the_next_push(
    hub: RunningHub, faulty: FaultyHub, exported: Path, name: str
) -> None:
    faulty.fault = Fault("POST .*/commit/main", "reset_after")
    try:
        with pytest.raises(HubUnreachableError):
            send(hub, exported, name)
    finally:
        faulty.fault = None
    assert send(hub, exported, name).uploads == {}
    assert len(commits(hub, name)) == 2


@pytest.mark.parametrize("name", ["model", "a/b/c", "../x/y", "me/bad name", "", "me/--"])
def test_a_name_that_is_none_is_refused_before_any_request(
    hub: RunningHub, exported: Path, name: str
) -> None:
    num_before = len(hub.requests)
    with pytest.raises(HubError, match=r"not a valid repository name\. Write OWNER/NAME"):
        send(hub, exported, name)
    assert hub.requests[num_before:] == []


def test_an_address_with_a_password_is_shown_without_it(exported: Path) -> None:
    url = "http://user:password@127.0.0.1:9"
    with pytest.raises(HubUnreachableError) as caught:
        push(exported, "me/model", endpoint=url, token=WRITE_TOKEN)
    assert "password" not in str(caught.value)
    assert "me/model on http://127.0.0.1:9: no answer" in str(caught.value)


def test_a_hub_without_xet_gets_plain_uploads(
    hub: RunningHub, faulty: FaultyHub, exported: Path, name: str
) -> None:
    faulty.fault = Fault("GET .*/xet-write-token/", "404", times=100)
    try:
        send(hub, exported, name)
    finally:
        faulty.fault = None
    assert content(hub, name, "model.safetensors") == (exported / "model.safetensors").read_bytes()


def test_a_repository_emptied_by_hand_takes_the_model_anew(
    hub: RunningHub, exported: Path, name: str
) -> None:
    send(hub, exported, name)
    paths = set(api(hub).list_repo_files(name)) - {".gitattributes"}
    gone = [CommitOperationDelete(path) for path in sorted(paths)]
    api(hub).create_commit(name, gone, commit_message="emptied")
    assert set(send(hub, exported, name).uploads) == paths
