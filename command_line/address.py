"""Addresses as they are printed: ones that can be clicked."""

import ipaddress

_LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def clickable_url(host: str, port: int, path: str = "") -> str:
    """URL of a server that listens on `host`, as this machine reaches it.

    A server on every address of a machine (0.0.0.0 or ::) is printed under the
    machine's own, since no browser or client is sure to open 0.0.0.0.
    """
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        shown = host
    else:
        shown = _LOOPBACK[address.version] if address.is_unspecified else str(address)
    return f"http://[{shown}]:{port}{path}" if ":" in shown else f"http://{shown}:{port}{path}"
