"""Errors as the Hub reports them: a status, an error code and a message that clients know."""

from starlette.responses import JSONResponse


class HubError(Exception):
    """A refused request, in the form that the official clients expect.

    The clients choose their exception by `X-Error-Code` and show `X-Error-Message`;
    `huggingface_hub.utils.hf_raise_for_status` is the reference.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers or {}

    def response(self) -> JSONResponse:
        """The JSON response; a header repeats the message as one line of ASCII."""
        line = "".join(c if " " <= c <= "~" else "?" for c in self.message[:1000])
        headers = {"X-Error-Message": line, **self.headers}
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message}, status_code=self.status, headers=headers)


def bad_request(message: str) -> HubError:
    """400: the request itself is wrong."""
    return HubError(400, message)


def bad_credentials() -> HubError:
    """401 for a token this Hub does not know."""
    return HubError(401, "Invalid credentials in Authorization header")


def sign_in_needed() -> HubError:
    """401 for an anonymous request to something that needs an account."""
    return HubError(401, "Invalid username or password: a token is needed for this request")


def forbidden(message: str) -> HubError:
    """403: the account is known but may not do this."""
    return HubError(403, message)


def repo_not_found(is_anonymous: bool) -> HubError:
    """404 or 401 for a repository that is absent or must look absent.

    The Hub answers 401 to anonymous callers, so that a missing and a private
    repository look the same, and 404 to signed-in ones.
    """
    return HubError(401 if is_anonymous else 404, "Repository not found", "RepoNotFound")


def revision_not_found(revision: str) -> HubError:
    """404 for a branch, tag or commit that the repository does not have."""
    return HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str, commit_oid: str | None = None) -> HubError:
    """404 for a file or folder; the commit lets clients cache the absence."""
    headers = {"X-Repo-Commit": commit_oid} if commit_oid else None
    return HubError(404, f"Entry not found: {path}", "EntryNotFound", headers)


def conflict(message: str) -> HubError:
    """409: the name is taken."""
    return HubError(409, message)


def stale_parent(expected_oid: str, head_oid: str) -> HubError:
    """412: another commit came first."""
    return HubError(
        412,
        "A commit has happened since. Please refresh and try again. "
        f"Expected parent {expected_oid}, the branch is at {head_oid}.",
    )
