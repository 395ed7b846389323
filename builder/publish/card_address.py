"""Whether a release's card names the repository it is published in."""

from pathlib import Path

from schemas.manifest import ReleaseManifest


def warn_about_card(manifest: ReleaseManifest, repo_id: str, workspace: Path) -> str | None:
    """A warning if a version's card names another repository, else None.

    The card is part of the version, which never changes once it is published.
    """
    named = manifest.policy.get("repo_id")
    if named and str(named).lower() == repo_id.lower():
        return None
    what = f"loads from {named}" if named else "names no repository to load from"
    return (
        f"the card of version {manifest.version} {what}, and a published version never changes. "
        f"To fix it, set `repo_id: {repo_id}` under `release:` in {workspace / 'config.yaml'} and "
        "release a higher version."
    )
