"""What huggingface.co has and this Hub has not: an empty list where that is true, else words."""

from starlette.responses import JSONResponse, Response

from builder.local_hub.calls import Call
from builder.local_hub.errors import HubError


def no_discussions(call: Call) -> Response:
    """GET …/discussions: there are none."""
    _visible(call)
    return JSONResponse({"discussions": [], "count": 0, "start": 0})


def refuse_discussion(call: Call) -> Response:
    """POST …/discussions: 501, be it for a discussion or a pull request."""
    _visible(call)
    raise HubError(501, "This Hub has no discussions and no pull requests: commit to a branch")


def refuse_lfs_files(call: Call) -> Response:
    """Any request about …/lfs-files: 501, for an empty list would say that there are none."""
    _visible(call)
    raise HubError(
        501,
        "This Hub neither lists nor deletes LFS files: list the tree of a revision; contents that "
        "no repository refers to go at the next start",
    )


def _visible(call: Call) -> None:
    """A repository that must look absent does so here as well."""
    with call.hub.database.read() as connection:
        call.repo(connection)
