"""Makes versions: an immutable directory from kept samples, review events and policy."""

from builder.release.build import Release, release
from builder.release.inputs import ReleaseInputs, open_inputs
from builder.release.rows import ReleaseError
from builder.release.versions import Version, VersionError, find_release, released_versions

__all__ = [
    "Release",
    "ReleaseError",
    "ReleaseInputs",
    "Version",
    "VersionError",
    "find_release",
    "open_inputs",
    "release",
    "released_versions",
]
