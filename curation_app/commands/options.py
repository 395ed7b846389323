"""Options that several commands share, and where a workspace keeps what they name."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import PolysceneError
from schemas.manifest import MANIFEST_NAME
from schemas.versions import parse_number

DEFAULT_STORE = "reviews.sqlite"

DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset",
        "-d",
        metavar="DIR|WORKSPACE|OWNER/NAME[@X.Y.Z]",
        help="A release directory, a workspace (its newest release), or a version on the Hub: "
        "demo/pictograms@0.1.0; without a number, the newest.",
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        "-s",
        help="The review store, one file on a local disk. Default: reviews.sqlite, in the "
        "workspace where --dataset names one.",
        show_default=False,
    ),
]


def find_dataset(given: str) -> str:
    """The release a `--dataset` names: of a workspace the newest, anything else as it is.

    Raises:
        PolysceneError: The workspace has no release.
    """
    workspace = workspace_of(given)
    if workspace is None:
        return given
    releases = {
        number: folder
        for folder in (workspace / "releases").iterdir()
        if (number := parse_number(folder.name)) and (folder / MANIFEST_NAME).is_file()
    }
    if not releases:
        raise PolysceneError(
            f"{workspace}: this workspace has no release yet. Make one with "
            "`python -m builder release`."
        )
    return str(releases[max(releases)])


def find_store(store: Path | None, dataset: str | None = None) -> Path:
    """The store's file: the one named, else the workspace's, else `reviews.sqlite` here."""
    if store is not None:
        return store / DEFAULT_STORE if store.is_dir() else store
    workspace = workspace_of(dataset) if dataset is not None else None
    return (workspace or Path()) / DEFAULT_STORE


def workspace_of(dataset: str) -> Path | None:
    """The workspace a `--dataset` names; None where it names something else."""
    folder = Path(dataset).expanduser()
    is_workspace = (folder / "releases").is_dir() and not (folder / MANIFEST_NAME).exists()
    return folder if is_workspace else None


def read_password(from_stdin: bool) -> str:
    """A password from the terminal, asked twice, or one line of standard input.

    Raises:
        PolysceneError: Standard input holds none.
    """
    if not from_stdin:
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise PolysceneError("--password-stdin: standard input is empty. Write the password to it.")
    return password
