"""`people`: the accounts of a store."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curation_app.commands.options import StoreOption, find_store, read_password
from curation_app.work.people import checked_languages, checked_name, checked_role

if TYPE_CHECKING:
    from curation_app.store.accounts import Accounts

people = typer.Typer(
    help="Accounts: once a store has one, everybody signs in.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

NameArgument = Annotated[str, typer.Argument(help="The name, as the person's verdicts carry it.")]
RoleOption = Annotated[
    str, typer.Option(help="reviewer, or lead: also starts audits and settles disagreements.")
]
LanguagesOption = Annotated[
    str, typer.Option(help="Codes of the languages they read, such as ar,fa. Empty: all.")
]
PasswordStdinOption = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input, not asking."),
]


@people.command()
def add(
    name: NameArgument,
    role: RoleOption = "reviewer",
    languages: LanguagesOption = "",
    password_stdin: PasswordStdinOption = False,
    store: StoreOption = None,
) -> None:
    """Make an account; the password is asked for."""
    name, chosen_role = checked_name(name), checked_role(role)
    reads = checked_languages(languages.split(","))
    with _accounts(store) as accounts:
        password = read_password(password_stdin)
        account = accounts.add(name, role=chosen_role, languages=reads, password=password)
    print(f"people: added {account.name} ({account.role}, {_reads(account.languages)})")


@people.command()
def invite(
    role: RoleOption = "reviewer",
    languages: LanguagesOption = "",
    url: Annotated[
        str, typer.Option(help="Address under which the invited person reaches the app.")
    ] = "http://127.0.0.1:7860/",
    by: Annotated[str, typer.Option(help="Who invites; the invited person reads it.")] = "a lead",
    days: Annotated[int, typer.Option(min=1, max=90, help="Days the link can be used.")] = 7,
    store: StoreOption = None,
) -> None:
    """Print a link with which one person makes an account of their own, once."""
    chosen_role, reads = checked_role(role), checked_languages(languages.split(","))
    with _accounts(store) as accounts:
        token = accounts.invite(
            role=chosen_role, languages=reads, created_by=checked_name(by), days=days
        )
    print(f"{url.rstrip('/')}/invite/{token}", flush=True)
    until = datetime.now(UTC) + timedelta(days=days)
    typer.echo(
        f"For one {chosen_role}, {_reads(reads)}; until {until:%Y-%m-%d}. "
        "Whoever has the link can use it: send it to that person only.",
        err=True,
    )


@people.command("revoke-invites")
def revoke_invites(store: StoreOption = None) -> None:
    """End every invitation that was not used yet, such as when a link got into wrong hands."""
    with _accounts(store, must_exist=True) as accounts:
        num_revoked = accounts.revoke_invitations()
    print(f"people: {num_revoked} invitations ended")


@people.command("list")
def list_people(store: StoreOption = None) -> None:
    """Show who has an account."""
    with _accounts(store, must_exist=True) as accounts:
        found = accounts.all()
    if not found:
        print("people: no accounts; on this machine everybody may review as a lead")
    for account in found:
        state = "" if account.is_active else "  (deactivated)"
        print(f"{account.name}  {account.role}  {_reads(account.languages)}{state}")


@people.command()
def change(
    name: NameArgument,
    role: Annotated[str | None, typer.Option(help="reviewer or lead.")] = None,
    languages: Annotated[str | None, typer.Option(help='Codes such as ar,fa; "" for all.')] = None,
    store: StoreOption = None,
) -> None:
    """Give a person another role or other languages."""
    with _accounts(store, must_exist=True) as accounts:
        if role is not None:
            accounts.set_role(name, checked_role(role))
        if languages is not None:
            accounts.set_languages(name, checked_languages(languages.split(",")))
        account = accounts.get(name)
    if account is None:
        from curation_app.store.accounts import no_account

        raise no_account(name)
    print(f"people: {account.name} is a {account.role}, {_reads(account.languages)}")


@people.command()
def password(
    name: NameArgument,
    password_stdin: PasswordStdinOption = False,
    store: StoreOption = None,
) -> None:
    """Set a new password; the person is signed out everywhere."""
    with _accounts(store, must_exist=True) as accounts:
        accounts.set_password(name, read_password(password_stdin))
    print(f"people: new password for {name}; every session of theirs has ended")


@people.command()
def deactivate(name: NameArgument, store: StoreOption = None) -> None:
    """Let a person in no more and sign them out everywhere; their verdicts stay."""
    with _accounts(store, must_exist=True) as accounts:
        accounts.set_active(name, False)
    print(f"people: {name} is deactivated and signed out; their verdicts stay")


@people.command()
def activate(name: NameArgument, store: StoreOption = None) -> None:
    """Let a deactivated person sign in again."""
    with _accounts(store, must_exist=True) as accounts:
        accounts.set_active(name, True)
    print(f"people: {name} can sign in again")


def register(app: typer.Typer) -> None:
    """Adds `people` to the command line."""
    app.add_typer(people, name="people")


@contextmanager
def _accounts(store: Path | None, *, must_exist: bool = False) -> "Iterator[Accounts]":
    from curation_app.store import ReviewStore
    from curation_app.store.accounts import Accounts

    with ReviewStore(find_store(store), must_exist=must_exist) as reviews:
        yield Accounts(reviews.database)


def _reads(languages: frozenset[str] | None) -> str:
    return "all languages" if languages is None else ", ".join(sorted(languages))
