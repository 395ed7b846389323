"""Version numbers of releases, and which releases a directory has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from schemas.errors import PolysceneError
from schemas.manifest import MANIFEST_NAME
from schemas.versions import parse_number

Part = Literal["major", "minor", "patch"]


class VersionError(PolysceneError):
    """A version is not of the form X.Y.Z, or does not exist."""


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """X.Y.Z; the tag on the Hub is vX.Y.Z."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads "1.2.3" or "v1.2.3".

        Raises:
            VersionError: The text has another form.
        """
        found = parse_number(text)
        if found is None:
            raise VersionError(f'"{text}" is not a version. Write X.Y.Z, such as 0.3.0.')
        return cls(*found)

    @classmethod
    def is_tag(cls, text: str) -> bool:
        """Whether a tag names a version, as `vX.Y.Z`."""
        return text.startswith("v") and parse_number(text) is not None

    @property
    def tag(self) -> str:
        return f"v{self}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def bumped(self, part: Part) -> "Version":
        """The next major, minor or patch version."""
        if part == "major":
            return Version(self.major + 1, 0, 0)
        if part == "minor":
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)


def released_versions(releases_dir: Path) -> list[Version]:
    """Versions in a directory, lowest first."""
    if not releases_dir.is_dir():
        return []
    return sorted(
        Version.parse(path.name)
        for path in releases_dir.iterdir()
        if parse_number(path.name) and (path / MANIFEST_NAME).exists()
    )


def next_version(releases_dir: Path, part: Part) -> Version:
    """The latest version with one part raised; counts from 0.0.0."""
    versions = released_versions(releases_dir)
    return (versions[-1] if versions else Version(0, 0, 0)).bumped(part)


def find_release(releases_dir: Path, version: str | None) -> Path:
    """Directory of a version, the latest when None.

    Raises:
        VersionError: There is no such release; the message lists the others.
    """
    versions = released_versions(releases_dir)
    wanted = Version.parse(version) if version else (versions[-1] if versions else None)
    if wanted is None:
        raise VersionError(
            f"{releases_dir}: no release yet. Make one with "
            "`python -m builder release --bump minor`."
        )
    if wanted not in versions:
        known = ", ".join(map(str, versions))
        has = f"it has {known}" if known else "it has none yet"
        raise VersionError(
            f"{releases_dir}: no release {wanted}; {has}. "
            f"Make it with `python -m builder release --version {wanted}`."
        )
    return releases_dir / str(wanted)
