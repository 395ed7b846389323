"""The web server: the ASGI app, the guard at its border, sign-in."""
