"""Tells a version's own files in a repository from those of somebody else.

A version replaces and deletes what an earlier one put there, and nothing else.
"""

from collections.abc import Collection
from fnmatch import fnmatchcase

from builder.publish.errors import PublishError
from builder.publish.repo import DatasetRepo, Refs
from builder.publish.verify import manifest_entries
from schemas.manifest import MANIFEST_NAME, ReleaseManifest

_CARD = "README.md"
#: Made with every repository.
_OF_THE_HUB = frozenset({".gitattributes"})
#: `datasets` believes this file and not the card.
_OVERRIDES_CARD = ".huggingface.yaml"
_MAX_NAMED = 5


def last_manifest(repo: DatasetRepo, refs: Refs) -> ReleaseManifest | None:
    """The manifest of main, else that of the highest tag with a manifest of this program."""
    commits = [refs.head] if refs.head else []
    commits += [commit for _, commit in sorted(refs.tags.items(), reverse=True)]
    found = (repo.own_manifest(commit) for commit in commits)
    return next((manifest for manifest in found if manifest is not None), None)


def own_files(manifest: ReleaseManifest | None) -> set[str]:
    """Paths of a version's files, including its manifest; empty without a version."""
    return {MANIFEST_NAME, *manifest_entries(manifest)} if manifest else set()


def card_patterns(manifest: ReleaseManifest) -> set[str]:
    """What a version's card tells `load_dataset` to read."""
    return {f"data/{entry.config}/{entry.split}-*.parquet" for entry in manifest.shards}


def refuse_overwriting(
    repo: DatasetRepo, refs: Refs, paths: Collection[str], replaced: Collection[str]
) -> None:
    """Refuses to publish over files that no version put there.

    Args:
        repo: The repository.
        refs: Its references.
        paths: Every file of main.
        replaced: Those that the new version has with other content.

    Raises:
        PublishError: Somebody else's file is in the way; the message names it.
    """
    own = repo.own_manifest(refs.head) if refs.head else None
    others = set(paths) - own_files(own) - _OF_THE_HUB
    if refs.head and _CARD in others and _is_blank_card(repo.read(refs.head, _CARD)):
        others.remove(_CARD)
    if own is None and others:
        raise PublishError(
            f"{repo.repo_id}: main has no version yet, but files of somebody else: "
            f"{_named(others)}. Nothing was changed. Publish under another name; or add --adopt, "
            "which deletes nothing and replaces "
            + (f"{_named(others & set(replaced))}." if others & set(replaced) else "none of them.")
        )
    if others & set(replaced):
        raise PublishError(
            f"{repo.repo_id}: main has other files named {_named(others & set(replaced))}, "
            "which no version put there. Nothing was changed. Move them away, or add "
            "--adopt to replace them."
        )


def refuse_foreign_rows(
    repo: DatasetRepo,
    paths: Collection[str],
    before: ReleaseManifest | None,
    after: ReleaseManifest,
) -> None:
    """Refuses a version that `load_dataset` would mix with rows it does not have.

    Somebody else's file is not deleted, and its rows passed none of the checks.

    Args:
        repo: The repository.
        paths: Every file of main.
        before: The version whose files are removed.
        after: The version to publish.

    Raises:
        PublishError: There is such a file; the message names it.
    """
    foreign = {
        path
        for path in set(paths) - own_files(before) - own_files(after)
        if path == _OVERRIDES_CARD
        or any(fnmatchcase(path, pattern) for pattern in card_patterns(after))
    }
    if foreign:
        delete = f'hf repos delete-files {repo.repo_id} "{min(foreign)}" --type dataset'
        raise PublishError(
            f"{repo.repo_id}: main has {_named(foreign)}, which is not a file of version "
            f"{after.version}, but `load_dataset` would read it too. Nothing was changed. "
            f"Move it away, or delete it: `{delete}`."
        )


def _is_blank_card(readme: bytes | None) -> bool:
    """Whether a card has nothing but metadata, as the Hub's own form leaves it."""
    lines = (readme or b"").decode("utf-8", "replace").strip().splitlines()
    return not lines or (lines[0] == lines[-1] == "---" and lines.count("---") == 2)


def _named(paths: Collection[str]) -> str:
    shown = ", ".join(sorted(paths)[:_MAX_NAMED])
    more = len(paths) - _MAX_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
