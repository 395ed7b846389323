"""A model repository on a Hub: its head, its files, one commit on top of them."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from schemas.errors import PolysceneError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

_BRANCH = "main"
_TIMEOUT_S = 120.0
_MAX_SAID_CHARS = 300
_AGAIN = "Run the same command again; what was uploaded is not sent twice."


class HubError(PolysceneError):
    """A model could not be pushed; the message holds no token and no signed address."""


class HubAccessError(HubError):
    """The Hub refuses the token, or hides the repository from it."""


class HubConflictError(HubError):
    """Somebody else changed the repository at the same moment."""


class HubUnreachableError(HubError):
    """The Hub did not answer, or is unavailable."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a commit; `sha256` is known of large files only, `blob_id` is git's."""

    num_bytes: int
    blob_id: str
    sha256: str | None


class ModelRepo:
    """One repository, accessed through the official client.

    Args:
        repo_id: OWNER/NAME.
        endpoint: Address of the Hub; `HF_ENDPOINT` or the client's own when None.
        token: `HF_TOKEN` or what `hf auth login` left when None.

    Raises:
        HubError: The name is not OWNER/NAME.
    """

    def __init__(
        self, repo_id: str, *, endpoint: str | None = None, token: str | None = None
    ) -> None:
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(repo_id)
            is_valid = repo_id.count("/") == 1
        except HFValidationError:
            is_valid = False
        if not is_valid:
            raise HubError(f"{repo_id!r} is not a valid repository name. Write OWNER/NAME.")
        self.repo_id = repo_id
        self._endpoint = endpoint
        self._token = token

    @cached_property
    def api(self) -> "HfApi":
        from huggingface_hub import HfApi

        _set_up_client()
        return HfApi(endpoint=self._endpoint, token=self._token, library_name="polyscene")

    @property
    def url(self) -> str:
        """Its address for people."""
        return f"{_without_login(self.api.endpoint)}/{self.repo_id}"

    def exists(self) -> bool:
        """Whether it exists and this token may see it."""
        with self._in_words():
            return self.api.repo_exists(self.repo_id)

    def create(self, *, private: bool) -> None:
        """Creates the repository if it does not exist; an existing one keeps its visibility."""
        with self._in_words():
            self.api.create_repo(self.repo_id, private=private or None, exist_ok=True)

    def head(self) -> str | None:
        """Commit of main, read again; None if there is none yet."""
        with self._in_words():
            branches = self.api.list_repo_refs(self.repo_id).branches
        heads = [branch.target_commit for branch in branches if branch.name == _BRANCH]
        return heads[0] if heads else None

    def files(self, commit: str) -> dict[str, RemoteFile]:
        """Every file of a commit, by path."""
        from huggingface_hub.hf_api import RepoFile

        with self._in_words():
            entries = self.api.list_repo_tree(self.repo_id, revision=commit, recursive=True)
            return {
                entry.path: RemoteFile(
                    entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None
                )
                for entry in entries
                if isinstance(entry, RepoFile)
            }

    def read(self, commit: str, path: str, max_bytes: int) -> bytes:
        """The first bytes of a file of a commit, kept in no cache."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        with self._in_words():
            url = hf_hub_url(self.repo_id, path, revision=commit, endpoint=self.api.endpoint)
            headers = build_hf_headers(token=self.api.token, library_name="polyscene")
            with get_session().stream("GET", url, headers=headers) as answer:
                hf_raise_for_status(answer)
                content = b""
                for block in answer.iter_bytes():
                    content += block
                    if len(content) >= max_bytes:
                        break
                return content[:max_bytes]

    def preupload(self, additions: "Sequence[CommitOperationAdd]") -> None:
        """Uploads large files ahead of the commit that will name them."""
        with self._in_words(), self._transport():
            self.api.preupload_lfs_files(
                self.repo_id, additions, revision=_BRANCH, free_memory=False
            )

    def commit(self, operations: Sequence[Any], title: str, parent: str | None) -> str:
        """Makes one commit on main, if main is still at `parent`; returns its id.

        Raises:
            HubConflictError: Main has moved since.
        """
        from huggingface_hub import CommitOperationAdd

        with self._in_words(), self._transport():
            made = self.api.create_commit(
                self.repo_id,
                list(operations),
                commit_message=title,
                revision=_BRANCH,
                parent_commit=parent,
            )
        additions = [each for each in operations if isinstance(each, CommitOperationAdd)]
        if additions and not any(addition._is_committed for addition in additions):
            # The client sends no empty commit and hands back the head, whatever that is by then.
            raise HubConflictError(
                f"{self.repo_id}: somebody else committed the same content at the same moment. "
                "Run the same command again; it finds their commit."
            )
        return made.oid

    @contextmanager
    def _transport(self) -> Iterator[None]:
        """Plain uploads while the Hub has no Xet, to which the client does not fall back."""
        from huggingface_hub import constants

        before = constants.HF_HUB_DISABLE_XET
        if not before and not self._has_xet:
            constants.HF_HUB_DISABLE_XET = True
        try:
            yield
        finally:
            constants.HF_HUB_DISABLE_XET = before

    @cached_property
    def _has_xet(self) -> bool:
        from huggingface_hub.utils import build_hf_headers, get_session

        address = f"{self.api.endpoint}/api/models/{self.repo_id}/xet-write-token/{_BRANCH}"
        headers = build_hf_headers(token=self.api.token, library_name="polyscene")
        return get_session().get(address, headers=headers).status_code == 200

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turns the client's exceptions into ours, each one line."""
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalTokenNotFoundError,
            OfflineModeIsEnabled,
        )
        from huggingface_hub.utils import get_token, httpx

        where = f"{self.repo_id} on {_without_login(self.api.endpoint)}"
        token = self._token or get_token()
        try:
            yield
        except HfHubHTTPError as exc:
            raise _from_response(exc, where, token) from exc
        except LocalTokenNotFoundError as exc:
            raise _no_token(where) from exc
        except HFValidationError as exc:
            raise HubError(f"{where}: not a valid repository name. Write OWNER/NAME.") from exc
        except OfflineModeIsEnabled as exc:
            raise HubUnreachableError(
                f"{where}: HF_HUB_OFFLINE is set, so nothing can be pushed. Unset it."
            ) from exc
        except (httpx.HTTPError, ConnectionError, TimeoutError) as exc:
            raise HubUnreachableError(
                f"{where}: no answer ({type(exc).__name__}). Check HF_ENDPOINT and the network. "
                f"{_AGAIN}"
            ) from exc
        except (KeyError, ValueError) as exc:  # the client reads answers trustingly
            raise HubUnreachableError(
                f"{where}: an answer that cannot be read ({type(exc).__name__}). {_AGAIN}"
            ) from exc
        except RuntimeError as exc:
            if isinstance(exc.__cause__, HfHubHTTPError):
                raise _from_response(exc.__cause__, where, token) from exc
            if isinstance(exc.__cause__, (httpx.HTTPError, OSError)):
                name = type(exc.__cause__).__name__
                raise HubUnreachableError(
                    f"{where}: an upload was interrupted ({name}). {_AGAIN}"
                ) from exc
            raise


def git_blob_id(source: Path | bytes) -> str:
    """Git's id of a content, which the Hub gives for small files."""
    content = source.read_bytes() if isinstance(source, Path) else source
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@cache
def _set_up_client() -> None:
    """Gives every request of the client a time limit, which by itself it has not; once.

    Its progress bars are for terminals, unless the environment asks for them.
    """
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils import disable_progress_bars, httpx
    from huggingface_hub.utils._http import default_client_factory

    def client() -> Any:
        made = default_client_factory()
        made.timeout = httpx.Timeout(_TIMEOUT_S, connect=15.0)
        return made

    set_client_factory(client)
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not sys.stderr.isatty():
        disable_progress_bars()


def _without_login(endpoint: str) -> str:
    """An address without the user and password that it may hold."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def _from_response(exc: Exception, where: str, token: str | None) -> HubError:
    from huggingface_hub.errors import HfHubHTTPError

    assert isinstance(exc, HfHubHTTPError)
    status = exc.response.status_code
    said = " ".join((exc.server_message or "").split())
    if token:
        said = said.replace(token, "(token)")
    said = f"{status}: {said[:_MAX_SAID_CHARS]}" if said else str(status)
    if status == 401:
        return _no_token(where)
    if status == 403:
        return HubAccessError(
            f"{where}: the token lacks permission for this ({said}). Use one with the write role "
            "for this owner, or push under your own name."
        )
    if status == 404:
        return HubAccessError(
            f"{where}: not there, or not visible to this token ({said}). Check the name and "
            "HF_TOKEN."
        )
    if status in (409, 412):
        return HubConflictError(
            f"{where}: somebody else changed the repository at the same moment ({said}). Nothing "
            "was changed. Run the same command again."
        )
    if status in (408, 425, 429) or status >= 500:
        what = "asks to slow down" if status == 429 else "cannot answer just now"
        return HubUnreachableError(f"{where}: the Hub {what} ({said}). {_AGAIN}")
    return HubError(f"{where}: the Hub refused the request ({said}). Check the files named there.")


def _no_token(where: str) -> HubAccessError:
    return HubAccessError(
        f"{where}: the Hub does not know who you are (401): the token is missing, wrong or "
        "expired. Log in with `hf auth login`, or set HF_TOKEN."
    )
