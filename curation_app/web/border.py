"""What the server lets in, decided once at the start: names it answers to, proxies it believes."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from schemas.errors import PolysceneError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


class BorderError(PolysceneError):
    """An option about addresses, proxies or paths cannot be used."""


@dataclass(frozen=True, slots=True)
class Border:
    """Who may ask, and under which address.

    Args:
        host: The address the server is bound to.
        names: Host names it answers to, lower case; IP addresses are judged apart.
        proxies: Networks whose X-Forwarded-* headers are believed.
        root_path: Path under which a proxy shows the app: "" or "/review".
    """

    host: str = "127.0.0.1"
    names: frozenset[str] = LOOPBACK
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    root_path: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether the server is bound to an address that only this machine reaches."""
        return self.host in LOOPBACK

    @property
    def is_exposed(self) -> bool:
        """Whether others than this machine's users are meant to reach the server, or can."""
        return bool(not self.is_loopback or self.proxies or self.root_path or self.names - LOOPBACK)

    def answers_to(self, host: str) -> bool:
        """Whether a `Host` header names this server.

        A page of another site can be pointed at this machine through a name of
        its own, never through an address: bound to more than loopback, any
        address is therefore this server's, and names are those allowed.
        """
        name = host_name(host)
        if name is None:
            return False
        return name in self.names or (not self.is_loopback and _is_address(name))

    def believes(self, address: str) -> bool:
        """Whether a connection from an address comes from a named proxy."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self.proxies)


def make_border(
    host: str,
    *,
    allowed_hosts: Sequence[str] = (),
    proxies: Sequence[str] = (),
    root_path: str = "",
) -> Border:
    """A border from what the command line gives.

        border = make_border("0.0.0.0", allowed_hosts=["review.example.org"], proxies=["10.0.0.2"])

    Args:
        allowed_hosts: Names besides this machine's own.
        proxies: Addresses or networks, such as "10.0.0.2" or "10.0.0.0/24".
        root_path: "/review", with or without a slash at the end.

    Raises:
        BorderError: One of them is not a name, an address or a path.
    """
    names = set(LOOPBACK) if host in LOOPBACK else set(LOOPBACK) | _own_names()
    for given in allowed_hosts:
        name = host_name(given)
        if name is None:
            raise BorderError(
                f"--allow-host {given!r}: not a host name. Write it as review.example.org."
            )
        names.add(name)
    return Border(
        host=host,
        names=frozenset(names),
        proxies=tuple(_network(given) for given in proxies),
        root_path=_root_path(root_path),
    )


def host_name(host: str) -> str | None:
    """Name or address of a `Host` header in lower case, without port; None where it is neither."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower().rstrip(".") if found else None


def _own_names() -> set[str]:
    """What this machine calls itself, also as its neighbours find it (mDNS)."""
    name = socket.gethostname().lower()
    short = name.split(".")[0]
    return {name, short, f"{short}.local", socket.getfqdn().lower()} - {""}


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _network(given: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(given, strict=False)
    except ValueError as exc:
        raise BorderError(
            f"--proxy {given!r}: not an address. Write the one the proxy connects from, "
            "such as 127.0.0.1 or 10.0.0.0/24."
        ) from exc


def _root_path(given: str) -> str:
    path = given.rstrip("/")
    if path and (not _ROOT_PATH.fullmatch(path) or ".." in path):
        raise BorderError(f"--root-path {given!r}: not a path. Write it as /review.")
    return path
