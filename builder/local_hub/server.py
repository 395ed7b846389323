"""Start the Hub on one address and say when it is ready."""

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from builder.disk import lock_file
from builder.local_hub.app import create_app
from builder.local_hub.auth import (
    DEFAULT_USER,
    MIN_TOKEN_CHARS,
    Accounts,
    load_or_create_accounts,
    parse_tokens,
)
from builder.local_hub.storage.names import is_namespace
from command_line.address import clickable_url
from schemas.errors import PolysceneError

LOCK_FILE = "lock"
TOKENS_VARIABLE = "HUB_TOKENS"
_KEEP_ALIVE_S = 120  # longer than clients keep a connection, so none is reused while it closes
_SHUTDOWN_S = 5


class HubStartError(PolysceneError):
    """The Hub cannot start as asked; the message says why and what to do."""


def serve(
    root: Path,
    host: str = "127.0.0.1",
    port: int = 8190,
    tokens: Mapping[str, Sequence[str]] | None = None,
    ready: Callable[[str], None] | None = None,
    user: str | None = None,
) -> None:
    """Serves the Hub under `root` until the process is stopped. Not for production.

    Args:
        root: The storage folder, made if it is new.
        host: Loopback, unless there are `tokens` that are hard to guess.
        port: 0 for any free one.
        tokens: Accounts as in `HUB_TOKENS`, which is the default; without either, a write token
            of `user` is made and printed at the first start.
        ready: Called with the address, `http://127.0.0.1:8190`, once requests are answered;
            prints it by default.
        user: Whose account is made if there is none; `demo` at the first start.

    Raises:
        HubStartError: If `host` is not loopback and there are no accounts, or one with a short
            token, if HUB_TOKENS is malformed, if another process serves this folder, or if
            the port is in use.
    """
    tokens = _given_tokens() if tokens is None else tokens
    if user is not None:
        _check_user(user, has_tokens=tokens is not None)
    accounts = None if tokens is None else _accounts(tokens)
    if not is_loopback(host):
        _refuse_guessable(tokens, host)
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HubStartError(f"{root}: {error.strerror}: choose another --root") from error
    # Lock and listen first, so that the token, shown only once, is never shown in vain.
    in_use = HubStartError(
        f"{root} is served by another process: stop that Hub, or choose another --root"
    )
    with lock_file(root / LOCK_FILE, in_use), listen(host, port) as listener:
        app = create_app(root, _default_accounts(root, user) if accounts is None else accounts)
        with suppress(KeyboardInterrupt):
            make_server(app, listener, ready or _print_address).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        HubStartError: The port is in use or not allowed, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if not 0 <= port < 2**16:
            raise OSError("ports go from 0 to 65535")
        listener = socket.create_server((host, port), family=family, backlog=256)
        # Connections inherit this. asyncio sets it only for its own sockets, and without it each
        # response in two packets waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        number = error.errno or 0  # absent from ours, negative from the resolver
        problem = "already in use"
        if number != errno.EADDRINUSE:
            problem = f"not available: {os.strerror(number) if number > 0 else error}"
        raise HubStartError(
            f"Port {port} of {host} is {problem}. Choose another --port (0 takes a free one), or "
            "--host"
        ) from error


def make_server(
    app: ASGIApp, listener: socket.socket, ready: Callable[[str], None]
) -> uvicorn.Server:
    """A server for `run(sockets=[listener])`, to be stopped by its `should_exit`."""
    host, port = listener.getsockname()[:2]
    address = clickable_url(host, port)
    config = uvicorn.Config(
        app,
        access_log=False,  # it would log the tickets in upload addresses
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(address)

    return Server(config)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise HubStartError(f'"{host}" is not an address of this machine') from error
    return all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)


def _given_tokens() -> Mapping[str, Sequence[str]] | None:
    text = os.environ.get(TOKENS_VARIABLE)
    try:
        return None if text is None else parse_tokens(text)
    except ValueError as error:
        raise HubStartError(str(error)) from error


def _accounts(tokens: Mapping[str, Sequence[str]]) -> Accounts:
    try:
        return Accounts.from_tokens(tokens)
    except ValueError as error:
        raise HubStartError(f"{TOKENS_VARIABLE}: {error}") from error


def _refuse_guessable(tokens: Mapping[str, Sequence[str]] | None, host: str) -> None:
    """Refuses tokens that others on the network could guess."""
    if tokens is None:
        raise HubStartError(
            f"Refusing to listen on {host} without accounts of your own: set {TOKENS_VARIABLE}, "
            "or leave out --host to stay on this machine"
        )
    if any(len(token.strip()) < MIN_TOKEN_CHARS for token in tokens):
        raise HubStartError(
            f"Refusing to listen on {host} with a token of fewer than {MIN_TOKEN_CHARS} "
            "characters: make a long one, for example by `openssl rand -hex 20`, or leave out "
            "--host to stay on this machine"
        )


def _check_user(user: str, *, has_tokens: bool) -> None:
    if has_tokens:
        raise HubStartError(
            f"--user {user}: {TOKENS_VARIABLE} already names the accounts. Leave out one of the two"
        )
    if not is_namespace(user):
        raise HubStartError(
            f'--user {user}: not a valid user name. Use letters, digits, ".", "_" and "-"'
        )


def _default_accounts(root: Path, user: str | None) -> Accounts:
    accounts, token = load_or_create_accounts(root, user)
    if token is not None:
        print(f"New account {user or DEFAULT_USER}: its write token is shown only this once.")
        print(f"    export HF_TOKEN={token}", flush=True)
    return accounts


def _print_address(address: str) -> None:
    print(f"Hub ready: {address} (a Hub for one machine, not for production)")
    print(f"    export HF_ENDPOINT={address}")
    sys.stdout.flush()
