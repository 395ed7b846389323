"""Fetches the files of a version's tag from a Hub, into the client's cache."""

# `huggingface_hub` types its functions in part; everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false

import glob
import re
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from schemas.manifest import MANIFEST_NAME, ReleaseManifest, read_manifest
from schemas.row_scores import ROW_SCORES_NAME
from schemas.versions import Version, VersionError, check_shard_path, parse_number

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_LISTED = 8


def fetch_snapshot(
    given: str, repository: str, number: str | None, configs: Collection[str] | None
) -> Version:
    """Fetches the manifest at a version's tag, then the files it lists.

    The tag is looked up again if the Hub answers; without a network a version
    that was fetched completely before is returned.

    Args:
        given: As the user named it.
        repository: OWNER/NAME.
        number: X.Y.Z; None for the newest version tag, which needs the Hub.
        configs: Whose files are fetched; None for all.

    Raises:
        VersionError: No such repository or version, or it cannot be fetched.
        ManifestError: Its manifest cannot be read.
    """
    tag = f"v{number}" if number is not None else _newest_tag(given, repository)
    with _in_words(given, repository, tag):
        directory = _download(repository, tag, [MANIFEST_NAME])
    if not (directory / MANIFEST_NAME).is_file():
        raise VersionError(
            given, f"tag {tag} has no {MANIFEST_NAME}", "Name a dataset that polyscene published."
        )
    manifest = read_manifest(directory)
    commit = directory.name if _COMMIT.fullmatch(directory.name) else None
    if parse_number(manifest.version) == parse_number(tag):  # else refused by the caller
        paths = [*_paths(given, manifest, configs), ROW_SCORES_NAME]  # which many versions lack
        with _in_words(given, repository, tag, has_manifest=True):
            directory = _download(repository, commit or tag, [MANIFEST_NAME, *paths])
    return Version(directory, manifest, commit, given, repository)


def _paths(given: str, manifest: ReleaseManifest, configs: Collection[str] | None) -> list[str]:
    wanted = [s.path for s in manifest.shards if configs is None or s.config in configs]
    for path in wanted:
        check_shard_path(given, path)
    return wanted


def _download(repository: str, revision: str, paths: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [glob.escape(path) for path in paths]
    return Path(
        snapshot_download(
            repository, repo_type="dataset", revision=revision, allow_patterns=patterns
        )
    )


def _newest_tag(given: str, repository: str) -> str:
    tags = _version_tags(given, repository)
    if not tags:
        raise VersionError(
            given,
            "the Hub has no version of it",
            "Publish one with `python -m builder publish`, or name another dataset.",
        )
    return tags[-1]


def _version_tags(given: str, repository: str) -> list[str]:
    """Tags vX.Y.Z of a repository, in order of version."""
    from huggingface_hub import HfApi

    with _in_words(given, repository, None):
        refs = HfApi().list_repo_refs(repository, repo_type="dataset")
    numbers = {tag.name: parse_number(tag.name) for tag in refs.tags if tag.name.startswith("v")}
    known = [(number, name) for name, number in numbers.items() if number is not None]
    return [name for _, name in sorted(known)]


def _cached_numbers(repository: str) -> list[str]:
    """Versions of a repository whose commit is in the cache, in order."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=repository, repo_type="dataset")
    refs = Path(HF_HUB_CACHE, folder, "refs")
    numbers = [(parse_number(ref.name), ref.name) for ref in refs.glob("v*")]
    known = sorted((number, name) for number, name in numbers if number is not None)
    return [name.removeprefix("v") for _, name in known]


@contextmanager
def _in_words(
    given: str, repository: str, tag: str | None, *, has_manifest: bool = False
) -> Generator[None, None, None]:
    """Turns the client's exceptions into ours; messages hold no token and no signed address."""
    from huggingface_hub.errors import (
        FileMetadataError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        XetDownloadError,
    )
    from huggingface_hub.utils import httpx

    try:
        yield
    except RevisionNotFoundError as exc:
        known = ", ".join(tag[1:] for tag in _version_tags(given, repository)[-_MAX_LISTED:])
        raise VersionError(
            given, f"the Hub has no version {tag}", f"It has {known or 'none yet'}."
        ) from exc
    except RepositoryNotFoundError as exc:  # also of gated ones
        raise VersionError(
            given,
            "no such directory, and the Hub has no such dataset, or it is private and the token "
            "does not open it",
            "Check the name, HF_ENDPOINT and HF_TOKEN (or `hf auth login`).",
        ) from exc
    except HFValidationError as exc:
        raise VersionError(
            given, f"{repository!r} is not a valid repository name", "Write OWNER/NAME@X.Y.Z."
        ) from exc
    except (LocalEntryNotFoundError, HfHubHTTPError, OfflineModeIsEnabled, httpx.HTTPError) as exc:
        raise _unreachable(given, repository, tag, exc, has_manifest) from exc
    except (XetDownloadError, RuntimeError) as exc:
        raise VersionError(
            given,
            f"the download was interrupted ({type(exc).__name__})",
            "Run the same command again; what was fetched is kept.",
        ) from exc
    except (KeyError, ValueError, FileMetadataError) as exc:  # the client does not check answers
        raise VersionError(
            given,
            f"the Hub's answer cannot be read ({type(exc).__name__})",
            "Check HF_ENDPOINT, then run the same command again.",
        ) from exc


def _unreachable(
    given: str, repository: str, tag: str | None, exc: Exception, has_manifest: bool
) -> VersionError:
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HfHubHTTPError

    status = f" ({exc.response.status_code})" if isinstance(exc, HfHubHTTPError) else ""
    why = "HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else f"the Hub could not be read{status}"
    remedy = "Unset it" if HF_HUB_OFFLINE else "Check HF_ENDPOINT and the network"
    if has_manifest:
        what = "only a part of this version is in the Hugging Face cache"
        remedy += ", then run the same command again; what was fetched is kept"
    else:
        unknown = "is not in the Hugging Face cache" if tag else "is not known: no number was given"
        what = f"this version {unknown}"
        cached = ", ".join(_cached_numbers(repository)[-_MAX_LISTED:])
        remedy += f"; or name one that is cached ({cached})" if cached else "; none is cached here"
    return VersionError(given, f"{what}, and {why}", f"{remedy}.")
