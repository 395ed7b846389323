"""`release`: an immutable version in the workspace."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from builder.api.showing import say, stages
from builder.publish.baseline import published_baseline
from builder.publish.rollback import warn_about_restored
from builder.release.build import Release
from builder.release.build import release as make_release
from builder.release.inputs import open_inputs
from builder.release.review_sources import newer_reviews
from builder.release.versions import Version, VersionError, next_version
from builder.workspace import open_workspace


def release(
    version: str | None = None,
    workspace: Path | str = "workspace",
    *,
    bump: Literal["patch", "minor", "major"] | None = None,
    reviews: Sequence[Path | str] | None = None,
    audits: Sequence[Path | str] = (),
    show: bool = False,
) -> Release:
    """Makes a version: kept samples, review events and policy to an immutable directory.

        made = release(bump="minor")
        made.directory, made.manifest.num_samples

    Args:
        version: X.Y.Z; or else name the part to `bump`.
        workspace: Directory of the build.
        bump: Raises this part of the latest version.
        reviews: Review stores or exports; those of the workspace if None.
        audits: Reports of audits for the card, besides those in the stores.
        show: Show progress and warnings on stderr.

    Raises:
        PolysceneError: A version could not be made; nothing was.
    """
    if (version is None) == (bump is None):
        raise VersionError("Give either --version X.Y.Z or --bump minor.")
    opened = open_workspace(Path(workspace))
    note = warn_about_restored(opened)
    if note is not None:
        say(show, f"warning: {note}")
    sources = None if reviews is None else [Path(source) for source in reviews]
    with (
        opened.locked(),
        open_inputs(opened, sources, [Path(audit) for audit in audits]) as inputs,
    ):
        wanted = (
            Version.parse(version)
            if version is not None
            else next_version(opened.releases_dir, bump or "minor")
        )
        published, notes = published_baseline(opened, wanted)
        with stages(show, str(wanted)) as progress:
            made = make_release(inputs, wanted, opened.releases_dir, progress, published)
        newer = newer_reviews(opened, inputs.review_sources, inputs.events)
    for line in (*notes, *made.notes):
        say(show, f"note: {line}")
    if newer is not None:
        store, num_newer = newer
        say(
            show,
            f"note: {store} has {num_newer:,} newer review events that are not in this version. "
            f"Release again with --reviews {store} to include them.",
        )
    return made
