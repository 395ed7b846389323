"""Sessions: a signed cookie that names an account and outlives a restart of the server."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from curation_app.store.accounts import Account, Accounts
from curation_app.web.identity import reviewer_of
from curation_app.work.people import Person, checked_role

SESSION_DAYS = 14
_SALT = "polyscene.session"


class HasCookies(Protocol):
    """A request of Starlette or of Gradio."""

    @property
    def cookies(self) -> Mapping[str, str]: ...


class Sessions:
    """Says who sent a request, and makes the cookie that says it.

    Without accounts (one-person mode) it is the name the browser has given, and
    everybody is a lead. With accounts it is the session's, as long as its
    signature holds, it is younger than `SESSION_DAYS`, and the account is
    active and of the same generation.

    Args:
        accounts: Of the store; read anew for each request, so that an account
            made or deactivated on the command line counts at once.
        default_reviewer: In one-person mode, who a browser is that has given no name.
    """

    def __init__(self, accounts: Accounts, *, default_reviewer: str | None = None) -> None:
        from itsdangerous import URLSafeTimedSerializer

        self.accounts = accounts
        self._default = default_reviewer
        #: Cookies of one host go to every port of it: the name tells one store's from another's.
        app_id = accounts.app_id()
        self.cookie_name = f"polyscene_session_{app_id}"
        self._serializer = URLSafeTimedSerializer(
            accounts.signing_key(),
            salt=f"{_SALT}.{app_id}",
            signer_kwargs={"digest_method": hashlib.sha256},
        )

    def who(self, request: HasCookies) -> Person | None:
        """Who sent a request; None where nobody has signed in, or given a name."""
        return self.person(request.cookies)

    def person(self, cookies: Mapping[str, str]) -> Person | None:
        """Who a request's cookies name."""
        if not self.accounts.exist():
            name = reviewer_of(cookies, self._default)
            return None if name is None else Person(name, "lead")
        account = self._account(cookies.get(self.cookie_name, ""))
        if account is None:
            return None
        return Person(account.name, checked_role(account.role), account.languages)

    def cookie_value(self, account: Account) -> str:
        """The value of the cookie that signs an account in."""
        return str(self._serializer.dumps([account.name, account.generation]))

    def _account(self, value: str) -> Account | None:
        from itsdangerous import BadData

        if not value:
            return None
        try:
            payload = self._serializer.loads(value, max_age=SESSION_DAYS * 86_400)
        except BadData:
            return None
        name, generation = payload
        account = self.accounts.get(name)
        if account is None or not account.is_active or account.generation != generation:
            return None
        return account
