"""`publish`: a release to a Hub, as one commit and one tag."""

from collections.abc import Callable
from pathlib import Path

from builder.api.showing import say, stages
from builder.publish.card_address import warn_about_card
from builder.publish.client import limit_waiting
from builder.publish.progress import BYTE_STAGES
from builder.publish.publish import Published
from builder.publish.publish import publish as publish_release
from builder.publish.repo import MAIN, DatasetRepo
from builder.publish.retry import ATTEMPTS
from builder.release.versions import find_release
from builder.workspace import open_workspace
from schemas.manifest import read_manifest


def publish(
    repo_id: str,
    version: str | None = None,
    workspace: Path | str = "workspace",
    *,
    private: bool = False,
    adopt: bool = False,
    branch: str = MAIN,
    create_pr: bool = False,
    attempts: int = ATTEMPTS,
    timeout_s: float = 120.0,
    show: bool = False,
    on_warning: Callable[[str], None] | None = None,
) -> Published:
    """Publishes a version on a Hub: one commit, then one tag vX.Y.Z.

    The Hub is huggingface.co or whatever HF_ENDPOINT names when this starts.

        done = publish("me/street-scenes")
        done.version, done.commit

    Args:
        repo_id: OWNER/NAME; made if it does not exist.
        version: X.Y.Z; the latest if None.
        workspace: Directory of the build.
        private: Make a new repository private.
        adopt: Publish to a repository that has somebody else's files.
        branch: Commit to this branch, made if missing; the tag is set on main only.
        create_pr: Open a pull request instead of committing.
        attempts: Attempts while the Hub does not answer.
        timeout_s: Longest wait for the next byte from the Hub.
        show: Show progress and warnings on stderr.
        on_warning: Called before anything is sent where the card names another repository;
            what it raises ends the call.

    Raises:
        PolysceneError: The version could not be published.
    """
    repo = DatasetRepo(repo_id, branch=branch)
    directory = find_release(open_workspace(Path(workspace)).releases_dir, version)
    limit_waiting(timeout_s)
    warning = warn_about_card(read_manifest(directory), repo_id, Path(workspace))
    if warning is not None:
        say(show, f"warning: {warning}")
        if on_warning is not None:
            on_warning(warning)
    with stages(show, directory.name, BYTE_STAGES) as progress:
        return publish_release(
            directory,
            repo,
            private=private,
            adopt=adopt,
            create_pr=create_pr,
            attempts=attempts,
            progress=progress,
            say=lambda line: say(show, line),
        )
