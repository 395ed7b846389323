"""Which repository a release's card names in its lines on loading."""

from pathlib import Path

from schemas.manifest import ReleaseManifest


def warn_of_card_address(manifest: ReleaseManifest, repo_id: str, workspace: Path) -> str | None:
    """Says that a version's card will send its readers elsewhere; None if it does not.

    The card is part of the version, which never changes once it is published.
    """
    named = manifest.policy.get("repo_id")
    if named and str(named).lower() == repo_id.lower():
        return None
    what = f"loads from {named}" if named else "names no repository to load from"
    return (
        f"the card of version {manifest.version} {what}, and a published version never changes. "
        f"To mend it, set `repo_id: {repo_id}` under `release:` in {workspace / 'config.yaml'} and "
        "release a higher version."
    )
