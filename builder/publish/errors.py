"""What can go wrong with a Hub, and whether trying again may help."""

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import PolysceneError

_AGAIN = "Run the same command again; it resumes where it stopped."


class PublishError(PolysceneError):
    """A version could not be published or read."""


class AccessError(PublishError):
    """The Hub refuses the token, or hides the repository from it."""


class ConflictError(PublishError):
    """Somebody else changed the repository at the same moment."""


class TagTakenError(PublishError):
    """The version exists with other content."""


class StaleError(PublishError):
    """The repository has a version that the release does not continue, so it would be undone."""


class UnreachableError(PublishError):
    """The Hub did not answer, or was temporarily unavailable; trying again may help.

    Args:
        message: What happened.
        retry_after_s: How long the Hub asks to wait; None if it does not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def what(self) -> str:
        """What happened, without what to do."""
        return str(self).removesuffix(_AGAIN).strip()

    def after(self, attempts: int) -> "UnreachableError":
        """The error of the last of several attempts."""
        tried = f"It was tried {attempts} times. " if attempts > 1 else ""
        return UnreachableError(f"{self.what} {tried}{_AGAIN}", self.retry_after_s)


@contextmanager
def translate_errors(repo_id: str, endpoint: str) -> Iterator[None]:
    """Turns the client's exceptions into ours; messages name no token and no signed address."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        LocalTokenNotFoundError,
    )
    from huggingface_hub.utils import httpx

    where = f"{repo_id} on {endpoint}"
    try:
        yield
    except HfHubHTTPError as exc:
        raise _from_response(exc, where) from exc
    except HFValidationError as exc:
        raise PublishError(
            f'"{repo_id}" is not a valid repository name. Write OWNER/NAME.'
        ) from exc
    except LocalTokenNotFoundError as exc:
        raise _no_token(where) from exc
    except (httpx.HTTPError, ConnectionError, TimeoutError, LocalEntryNotFoundError) as exc:
        name = type(exc).__name__
        raise UnreachableError(
            f"{where}: no answer ({name}). Check the address and the network. {_AGAIN}"
        ) from exc
    except (KeyError, ValueError) as exc:
        # The client does not check what it reads; a reply cut short ends here.
        name = type(exc).__name__
        raise UnreachableError(f"{where}: the reply cannot be read ({name}). {_AGAIN}") from exc
    except RuntimeError as exc:
        if isinstance(exc.__cause__, HfHubHTTPError):
            raise _from_response(exc.__cause__, where) from exc
        if isinstance(exc.__cause__, (httpx.HTTPError, OSError)):
            name = type(exc.__cause__).__name__
            raise UnreachableError(
                f"{where}: an upload was interrupted ({name}). {_AGAIN}"
            ) from exc
        raise


def _from_response(exc: Exception, where: str) -> PublishError:
    from huggingface_hub.errors import HfHubHTTPError

    assert isinstance(exc, HfHubHTTPError)
    status = exc.response.status_code
    said = f": {exc.server_message}" if exc.server_message else ""
    said = " ".join(said.split())[:300]
    if status == 401:
        return _no_token(where)
    if status == 403:
        return AccessError(
            f"{where}: the token may not do this (403{said}). Use a token with the write role "
            "for this owner, or publish under your own name."
        )
    if status == 404:
        return AccessError(
            f"{where}: not found, or not visible to this token (404{said}). Check the name, the "
            "version, and for a private repository the token."
        )
    if status in (409, 412):
        return ConflictError(
            f"{where}: somebody else changed the repository at the same moment ({status}{said}). "
            "Nothing of this version is visible yet. Run the same command again."
        )
    if status in (408, 425, 429) or status >= 500:
        what = "asks to slow down" if status == 429 else "is temporarily unavailable"
        return UnreachableError(f"{where}: the Hub {what} ({status}{said}). {_AGAIN}", _wait(exc))
    return PublishError(f"{where}: the Hub refused the request ({status}{said}).")


def _no_token(where: str) -> AccessError:
    return AccessError(
        f"{where}: the Hub does not know who you are (401): the token is missing, wrong or "
        "expired. Log in with `hf auth login`, or set HF_TOKEN."
    )


def _wait(exc: Exception) -> float | None:
    from huggingface_hub.errors import HfHubHTTPError

    assert isinstance(exc, HfHubHTTPError)
    try:
        return float(exc.response.headers.get("retry-after", ""))
    except ValueError:
        return None
