"""Finds a published version: a directory as it is, or a repository fetched at its revision."""

import re
from pathlib import Path

from schemas.manifest import MANIFEST_NAME, read_manifest
from trainer.errors import ReleaseError


def find_release(dataset: str, revision: str | None) -> Path:
    """Directory with the files of one version.

    A repository is always fetched as a snapshot first: `load_dataset(repo,
    revision=…)` silently falls back to the latest cached version when the Hub
    cannot be reached.

    Raises:
        ReleaseError: No such directory or repository, or it holds another version.
    """
    directory = Path(dataset).expanduser()
    if directory.is_dir():
        found = directory
    elif directory.is_absolute() or dataset.startswith((".", "~")) or dataset.count("/") != 1:
        raise ReleaseError(
            dataset, "no such directory", "Give a release directory, or a repository as owner/name."
        )
    else:
        found = _fetch(dataset, revision)
    _check_version(found, dataset, revision)
    return found


def _fetch(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(repository, repo_type="dataset", revision=revision))
    except RevisionNotFoundError as exc:
        raise ReleaseError(
            repository, "no such revision", "Give a tag the repository has.", revision
        ) from exc
    except (RepositoryNotFoundError, HFValidationError) as exc:
        raise ReleaseError(
            repository,
            "neither a directory here nor a repository on the Hub that this token may read",
            "Check the name, HF_ENDPOINT and HF_TOKEN.",
            revision,
        ) from exc
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as exc:
        raise ReleaseError(
            repository,
            f"the Hub could not be read ({type(exc).__name__})",
            "Check HF_ENDPOINT and that the Hub is up.",
            revision,
        ) from exc


def _check_version(directory: Path, dataset: str, revision: str | None) -> None:
    """A directory has no revisions, so its manifest must name the version asked for."""
    if revision is None or not re.fullmatch(r"v\d+\.\d+\.\d+\S*", revision):
        return
    if not (directory / MANIFEST_NAME).is_file():
        return
    version = read_manifest(directory).version
    if version.removeprefix("v") != revision.removeprefix("v"):
        raise ReleaseError(
            dataset,
            f"it holds version {version}",
            "Name the directory or repository of the version you want.",
            revision,
        )
