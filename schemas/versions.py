"""Opens a version: a release directory, or a repository's files at the version's tag."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import PolysceneError
from schemas.manifest import MANIFEST_NAME, ReleaseManifest, ShardEntry, read_manifest
from schemas.vocabulary import CONFIG_OF_TASK

_NUMBER = re.compile(r"v?(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
#: Printable and on one line: the manifest's name goes into messages and cards.
_NAME = re.compile(r"[\w.-]{1,128}")
_MAX_LISTED = 8

HOW_TO_NAME = "Name a release directory, DIR@X.Y.Z, OWNER/NAME or OWNER/NAME@X.Y.Z"


class VersionError(PolysceneError):
    """A version cannot be opened: misnamed, missing, another one, or incomplete.

    Args:
        version: As the user gave it.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
    """

    def __init__(self, version: str, what: str, remedy: str) -> None:
        self.version = version
        self.what = what
        self.remedy = remedy
        super().__init__(f"{version}: {what}. {remedy}")


@dataclass(frozen=True, slots=True)
class Version:
    """An opened version; all files that its manifest lists exist.

    Args:
        directory: Where the files are.
        manifest: Decides which version it is.
        commit: Of the repository; None for a directory.
        given: As the user named it; may be a local path.
        repository: OWNER/NAME; None for a directory.
    """

    directory: Path
    manifest: ReleaseManifest
    commit: str | None
    given: str
    repository: str | None = None

    @property
    def number(self) -> str:
        """X.Y.Z, from the manifest."""
        return self.manifest.version.removeprefix("v")

    @property
    def label(self) -> str:
        """As "owner/name@0.2.0", or "name@0.2.0" from a directory's manifest; never a path."""
        return f"{self.repository or self.manifest.name}@{self.number}"

    @property
    def num_train_rows(self) -> int:
        """Rows to train on, by the manifest; nothing is read."""
        return sum(
            shard.num_rows
            for config in CONFIG_OF_TASK.values()
            for shard in self.shards(config, "train")
        )

    def shards(self, config: str, split: str | None = None) -> list[ShardEntry]:
        """Files of a config, in published order; of every split when None."""
        return [
            shard
            for shard in self.manifest.shards
            if shard.config == config and split in (None, shard.split)
        ]

    def path(self, shard: ShardEntry) -> Path:
        """Path of a file of the manifest."""
        return self.directory / shard.path


def open_version(
    name: str, *, revision: str | None = None, configs: Collection[str] | None = None
) -> Version:
    """Opens a version by name.

    The manifest decides which version it is: a directory or tag that has another
    version than the one named is refused. From the Hub (`HF_ENDPOINT`, `HF_TOKEN`)
    the files of the version's tag are fetched; a version that is completely
    cached opens without a network.

        version = open_version("demo/pictograms@0.2.0", configs=["Retrieval"])

    Args:
        name: `OWNER/NAME@X.Y.Z`, `OWNER/NAME` (its newest version), `DIR`, or
            `DIR@X.Y.Z`; the number may start with `v`. An existing directory
            takes precedence over a repository of the same name.
        revision: Older spelling of what follows `@`.
        configs: Configs whose files are fetched and must exist; None for all.

    Raises:
        VersionError: There is no such version, or its files are incomplete.
        ManifestError: Its manifest cannot be read.
    """
    place, number = _parse(name, revision)
    directory = Path(place).expanduser()
    if directory.is_dir():
        version = Version(directory, _manifest_of(directory, name), None, name)
    elif _REPOSITORY.fullmatch(place):
        from schemas.snapshots import fetch_snapshot

        version = fetch_snapshot(name, place, number, configs)
    else:
        raise VersionError(name, "no such directory", f"{HOW_TO_NAME}.")
    _check_identity(version, number)
    _check_files(version, configs)
    return version


def parse_number(text: str) -> tuple[int, int, int] | None:
    """(X, Y, Z) of "X.Y.Z" or "vX.Y.Z"; None where it is neither."""
    found = _NUMBER.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def check_shard_path(version: str, path: str) -> None:
    """Refuses a manifest whose file names leave its release.

    Raises:
        VersionError: The path is absolute, has `..`, or is not a plain path.
    """
    parts = path.split("/")
    if "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise VersionError(
            version,
            f"its manifest names {path!r}, which is outside the release",
            "Do not use this version; tell whoever published it.",
        )


def _parse(name: str, revision: str | None) -> tuple[str, str | None]:
    """Directory or repository, and the number after `@` without `v`."""
    place, number = name, None
    before, mark, after = name.rpartition("@")
    if mark and "/" not in after and not Path(name).expanduser().is_dir():
        place, number = before, after
    for given in (number, revision):
        if given is not None and parse_number(given) is None:
            raise VersionError(
                name,
                f"{given!r} is not a version number",
                "Write X.Y.Z, such as 0.2.0; branches and commits are not accepted. "
                f"{HOW_TO_NAME}.",
            )
    if number is not None and revision is not None and not _same(number, revision):
        raise VersionError(
            name, f"it names {number}, but the revision says {revision}", "Give one of them."
        )
    chosen = number or revision
    return place, None if chosen is None else chosen.removeprefix("v")


def _same(one: str, other: str) -> bool:
    return parse_number(one) == parse_number(other)


def _manifest_of(directory: Path, name: str) -> ReleaseManifest:
    if (directory / MANIFEST_NAME).exists():
        return read_manifest(directory)
    releases = sorted(file.parent.name for file in directory.glob(f"*/{MANIFEST_NAME}"))
    if releases:
        shown = ", ".join(releases[:_MAX_LISTED])
        remedy = f"It contains releases ({shown}): name one, such as {directory / releases[0]}."
    else:
        remedy = f"{HOW_TO_NAME}."
    raise VersionError(
        name, f"this directory has no {MANIFEST_NAME}, so it is not a release", remedy
    )


def _check_identity(version: Version, number: str | None) -> None:
    manifest, where = version.manifest, version.given
    if parse_number(manifest.version) is None or not _NAME.fullmatch(manifest.name):
        raise VersionError(
            where,
            f"its manifest says name {manifest.name[:80]!r}, version {manifest.version[:80]!r}",
            "These are not a valid name and number; release again.",
        )
    if number is None or _same(manifest.version, number):
        return
    if version.repository is None:
        raise VersionError(
            where,
            f"this directory is version {version.number}, not {number}",
            f"Name the directory of {number}, or ask for {version.number}.",
        )
    raise VersionError(
        where,
        f"the Hub gave version {version.number} under tag v{number}",
        f"The tag was moved or set by hand: ask for {version.number}, or tell the owner.",
    )


def _check_files(version: Version, configs: Collection[str] | None) -> None:
    """Checks that every file exists and has the size in the manifest; contents are not read."""
    for shard in version.manifest.shards:
        if configs is not None and shard.config not in configs:
            continue
        check_shard_path(version.given, shard.path)
        path = version.path(shard)
        if not path.is_file():
            raise VersionError(
                version.given,
                f"{shard.path}: missing, though the manifest lists it",
                _remedy(version),
            )
        num_bytes = path.stat().st_size
        if num_bytes != shard.num_bytes:
            raise VersionError(
                version.given,
                f"{shard.path}: damaged or only partly copied ({num_bytes:,} bytes, "
                f"the manifest says {shard.num_bytes:,})",
                _remedy(version),
            )


def _remedy(version: Version) -> str:
    if version.repository is None:
        return "Fetch or release the version again."
    return (
        f"Delete {version.repository} from the Hugging Face cache "
        f"(`hf cache rm dataset/{version.repository}`), then fetch the version again."
    )
