"""The small pages of signing in: plain HTML, every value escaped, one style sheet, no script."""

from html import escape

from curation_app.store.accounts import MIN_PASSWORD_CHARS, Invite
from curation_app.work.people import MAX_NAME_CHARS
from schemas.vocabulary import LANGUAGES

#: Nothing runs; the style sheet and the icon are loaded, nothing else.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

#: Asks the same address again, this time as a request of this site's own.
AGAIN_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Opening …</title>'
    '<meta http-equiv="refresh" content="0"></head><body></body></html>'
)


def sign_in_page(root: str, goal: str, *, problem: str = "") -> str:
    """The form that asks for name and password; `goal` is where it leads."""
    return _page(
        root,
        "Sign in",
        f"""<h1>Sign in to review</h1>{_problem(problem)}
<form method="post" action="{escape(root)}/sign-in">
<input type="hidden" name="next" value="{escape(goal)}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" maxlength="{MAX_NAME_CHARS}"
 required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>
<p class="hint">No account yet? Ask a lead for an invitation. Forgotten the password? A lead sets a
new one.</p>""",
    )


def invite_page(root: str, token: str, invite: Invite, *, problem: str = "") -> str:
    """The form by which somebody invited takes a name and a password."""
    codes = invite.languages or ()
    reads = ", ".join(sorted(LANGUAGES[code].name for code in codes)) or "every language"
    return _page(
        root,
        "Invitation",
        f"""<h1>You are invited to review</h1>
<p>By {escape(invite.created_by)}, as a {escape(invite.role)}, for {escape(reads)}.</p>
{_problem(problem)}
<form method="post" action="{escape(root)}/invite/{escape(token)}">
<label for="name">Your name, as your verdicts will carry it</label>
<input id="name" name="name" autocomplete="username" maxlength="{MAX_NAME_CHARS}"
 required autofocus>
<label for="password">Password, at least {MIN_PASSWORD_CHARS} characters</label>
<input id="password" name="password" type="password" autocomplete="new-password"
 minlength="{MIN_PASSWORD_CHARS}" required>
<label for="again">The same password again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required>
<button type="submit">Make the account</button>
</form>""",
    )


def password_page(root: str, name: str, *, problem: str = "") -> str:
    """The form by which somebody signed in changes the password."""
    return _page(
        root,
        "New password",
        f"""<h1>A new password for {escape(name)}</h1>{_problem(problem)}
<form method="post" action="{escape(root)}/password">
<input type="hidden" name="name" value="{escape(name)}" autocomplete="username">
<label for="current">Current password</label>
<input id="current" name="current" type="password" autocomplete="current-password"
 required autofocus>
<label for="password">New password, at least {MIN_PASSWORD_CHARS} characters</label>
<input id="password" name="password" type="password" autocomplete="new-password"
 minlength="{MIN_PASSWORD_CHARS}" required>
<label for="again">The new password again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required>
<button type="submit">Change it</button>
</form>
<p class="hint">You are then signed out everywhere else. <a href="{escape(root)}/">Back</a></p>""",
    )


def message_page(root: str, message: str) -> str:
    """One sentence and the way to the sign-in page."""
    return _page(
        root,
        "Review",
        f"<h1>Review</h1><p>{escape(message)}</p>"
        f'<p><a href="{escape(root)}/sign-in">Sign in</a></p>',
    )


def _problem(text: str) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>' if text else ""


def _page(root: str, title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · polyscene review</title>
<link rel="icon" type="image/svg+xml" href="{escape(root)}/ui/shared/icon.svg">
<link rel="stylesheet" href="{escape(root)}/ui/shared/sign_in.css">
</head>
<body><main>{body}</main></body>
</html>
"""
