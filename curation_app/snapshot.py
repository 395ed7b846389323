"""From what the user names to a release directory: a local one, or a version on a Hub."""

import re
from pathlib import Path

from schemas.errors import PolysceneError
from schemas.manifest import MANIFEST_NAME, read_manifest
from schemas.vocabulary import CONFIG_OF_TASK

_ON_A_HUB = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+)@(?P<version>[\w.+-]+)$")


class SnapshotError(PolysceneError):
    """The version to review cannot be found or fetched."""


def release_directory(dataset: str) -> Path:
    """Finds the release a user named, fetching it from the Hub when it is not local.

    Only the rows to be reviewed are fetched, from the endpoint in `HF_ENDPOINT`.

    Args:
        dataset: A release directory, or `REPO_ID@VERSION` ("demo/pictograms@0.1.0").

    Raises:
        SnapshotError: Neither; or the Hub has no such version; or what it
            gave is another version than the one asked for.
    """
    if (Path(dataset) / MANIFEST_NAME).is_file():
        return Path(dataset)
    named = _ON_A_HUB.match(dataset)
    if Path(dataset).exists() or not named:
        raise SnapshotError(
            f"{dataset}: no release there. Name a release directory (with {MANIFEST_NAME}) "
            "or REPO_ID@VERSION."
        )
    version = named["version"].removeprefix("v")
    directory = _download(named["repo"], f"v{version}")
    found = read_manifest(directory).version
    if found.removeprefix("v") != version:
        raise SnapshotError(
            f"{dataset}: the Hub gave version {found}. "
            "Clear this dataset from the Hugging Face cache and try again."
        )
    return directory


def _download(repo: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = [f"data/{config}/*" for config in dict.fromkeys(CONFIG_OF_TASK.values())]
    try:
        return Path(
            snapshot_download(
                repo,
                repo_type="dataset",
                revision=revision,
                allow_patterns=[MANIFEST_NAME, *wanted],
            )
        )
    except RevisionNotFoundError as exc:
        problem, remedy = f"has no version {revision}", "See `python -m builder versions`."
        raise SnapshotError(f"{repo}: the Hub {problem}. {remedy}") from exc
    except RepositoryNotFoundError as exc:
        raise SnapshotError(
            f"{repo}: the Hub has no such dataset, or it is private and the token does not "
            "open it. Check the name, HF_ENDPOINT and `hf auth login`."
        ) from exc
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as exc:
        problem = str(exc).strip().splitlines()[0]
        raise SnapshotError(
            f"{repo}@{revision}: could not be fetched: {problem} "
            "Check HF_ENDPOINT and the connection; nothing was changed."
        ) from exc
