"""The address guard: a host is resolved once, every address is checked, and that very address is connected to."""

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

from catalogue.errors import Forbidden

# Ranges that reach a private IPv4 address in disguise, or that `ipaddress` counts as global on some Python versions.
_REFUSED = tuple(ipaddress.ip_network(network) for network in (
    "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10", "100.64.0.0/10",
    "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4",
))


class AddressGuard:
    """Decides which hosts may be connected to, and connects; `allow_hosts` are `host:port` pairs let through."""

    def __init__(self, allow_hosts: frozenset[str] = frozenset()) -> None:
        self.allow_hosts = frozenset(pair.lower() for pair in allow_hosts)

    def check_url(self, url: str) -> None:
        """Raise `Forbidden` unless the URL is http(s), names a host and carries no credentials."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Forbidden(f"{url!r} is no valid address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise Forbidden(f"{url!r} is no web address; use http:// or https:// and a host")
        if parts.username is not None or parts.password is not None:
            raise Forbidden(f"the address of {parts.hostname} holds a user name; leave it out")

    def addresses(self, host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
        """Resolve and return the socket addresses of a host; `Forbidden` if any one of them is not public.

        Odd spellings (decimal, hex or octal hosts) need no rule of their own: what they resolve to is checked.
        """
        bare = host.strip("[]").rstrip(".").lower()
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)
        if f"{bare}:{port}" not in self.allow_hosts:
            for *_, address in found:
                if not is_public(str(address[0])):
                    raise Forbidden(f"{host}:{port} leads to the address {address[0]}, which is not public; if it is "
                                    f"meant, add {bare}:{port} to SOLESEARCH_ALLOW_HOSTS")
        return [(family, address) for family, _, _, _, address in found]

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """Open a TCP connection to one of the host's checked addresses; OSError if none answers."""
        failure: OSError = OSError(f"{host} has no address")
        for family, address in self.addresses(host, port):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(timeout)
                connection.connect(address)
                return connection
            except OSError as error:
                connection.close()
                failure = error
        raise failure


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the internet may reach; IPv4 inside IPv6 is unwrapped first."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in _REFUSED if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local
                                 or ip.is_unspecified)
