"""Which addresses may be connected to; names are resolved once, and connected to as resolved."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = IPv4Address | IPv6Address
IsAllowed = Callable[[Address], bool]

#: Networks whose addresses hold an IPv4 address in their last 32 bits.
_TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


class PrivateAddressError(OSError):
    """A host has none but private addresses."""


class UrlError(ValueError):
    """A URL cannot be fetched, whatever its host: another scheme, no host, a password."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet: not loopback, link-local or of a LAN."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and any(address in network for network in _TRANSLATED):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and not is_public(inner):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_any(address: Address) -> bool:
    """Allows every address."""
    del address
    return True


def checked_url(text: str, is_allowed: IsAllowed) -> URL:
    """A URL that may be fetched; addresses written as numbers are checked here.

    Names are checked when they are resolved, by `CheckedResolver`.

    Raises:
        UrlError: It is not http(s), has no host, or a user name.
        PrivateAddressError: Its host is a private address.
    """
    try:
        url = URL(text.strip())
        host, port = url.raw_host, url.port
    except ValueError as exc:
        raise UrlError(f"it is no URL ({exc})") from exc
    if url.scheme not in ("http", "https") or not host or port is None:
        raise UrlError("it is not http:// or https:// with a host")
    if url.user is not None or url.password is not None:
        raise UrlError("it has a user name or password")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if ":" in host or host.replace(".", "").isdigit():
            # 127.1, 2130706433: aiohttp would connect to these without asking the resolver.
            raise UrlError("its host is a number, not a name or an address") from None
        return url.with_fragment(None)
    if not is_allowed(address):
        raise PrivateAddressError(f"{host} is a private address")
    return url.with_fragment(None)


class CheckedResolver(AbstractResolver):
    """Resolves a name for one connection, and gives only addresses that are allowed.

    aiohttp connects to what it returns, so a name that changes its address
    between check and connection gains nothing.
    """

    def __init__(self, is_allowed: IsAllowed) -> None:
        self._is_allowed = is_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of a host.

        Raises:
            PrivateAddressError: It has none but private ones.
            OSError: It has none at all.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for kind, _, protocol, _, place in found:
            address = str(place[0])
            if self._is_allowed(ipaddress.ip_address(address)):
                results.append(
                    ResolveResult(
                        hostname=host,
                        host=address,
                        port=port,
                        family=kind,
                        proto=protocol,
                        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                    )
                )
        if not results:
            raise PrivateAddressError(f"{host} resolves to private addresses only")
        return results

    async def close(self) -> None:
        pass
