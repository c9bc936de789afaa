"""Decide what may be dialled for an http(s) reference: rules and a reference enter, a URL leaves.

A reference is parsed once, by yarl, whose `URL` is what the client dials: both read one thing.
After its parsing a host is lower case, IDNA, and digits of any script are ASCII's; whatever is then
neither a plain name nor a plain IP address (octal, hex, one integer, percent) is refused.

A name says nothing of where it leads: `may_dial` judges the very address of each connection.
The registries of special addresses are RFC 6890's, as IANA keeps them.
"""

import functools
import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.sources import BadRules

SCHEMES: Final = ("http", "https")

REFERENCE_CHARACTERS_MAX: Final = 8_000
"""What servers take as a request line; a signed URL needs some 2,000."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Never `is_global`: Python 3.11's is true for multicast, NAT64, 6to4 and 168.63.129.16.
_NOT_PUBLIC: Final = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared space; 100.100.100.200 is Alibaba's metadata
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
        "168.63.129.16/32",  # Azure's host, by an address that looks public
    )
)
_UNICAST: Final = IPv6Network("2000::/3")
_UNICAST_NOT_PUBLIC: Final = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address of anybody's choice
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# The well-known prefix of RFC 6052: hosts with IPv6 alone reach the IPv4 internet by it.
_NAT64: Final = IPv6Network("64:ff9b::/96")
# ISATAP (RFC 5214): the interface part says which IPv4 address the tunnel leads to.
_ISATAP: Final = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")
# Where clouds hand out credentials: nobody's image, whatever networks are allowed.
_METADATA: Final = frozenset(
    ip_address(address)
    for address in (
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)

_PORTS: Final = frozenset(range(1, 2**16))
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*", re.ASCII)
# URL parsers and resolvers take what ends so for an IPv4 address, each in its own way.
_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_INNER: Final = frozenset({"localhost", "localdomain", "local", "internal", "intranet", "arpa"})

_INVALID: Final = Reason.IMAGE_REFERENCE_INVALID
_FORBIDDEN: Final = Reason.IMAGE_ADDRESS_FORBIDDEN


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """What may be fetched. A host must be named, or fall under a `*.name`, unless any public may.

    `networks` are those that may be dialled although they are not public.
    """

    hosts: frozenset[str]
    domains: tuple[str, ...]
    any_public: bool
    ports: frozenset[int]
    networks: tuple[Network, ...] = ()

    def target(self, reference: str) -> URL | ImageProblem:
        """Parse what a stranger wrote into what may be asked for, or say why not."""
        if " " in reference:
            return _invalid("the reference holds a space: write it as %20")
        url = _parsed(reference)
        return url if isinstance(url, ImageProblem) else self._checked(url)

    def redirected(self, asked: URL, location: str) -> URL | ImageProblem:
        """Where a redirect of `asked` leads, by the same rules, and never from https to http."""
        url = _parsed(location)
        if isinstance(url, ImageProblem):
            return url
        target = self._checked(asked.join(url))
        if isinstance(target, URL) and (asked.scheme, target.scheme) == ("https", "http"):
            return _forbidden("it redirects from https to http")
        return target

    def may_dial(self, address: str, port: int) -> bool:
        """Whether a connection may be made to this very address."""
        if port not in self.ports:
            return False
        try:
            dialled = _reached(ip_address(address))
        except ValueError:
            return False
        # A zone names an interface of this machine.
        if "%" in address or dialled in _METADATA:
            return False
        return is_public(dialled) or any(dialled in network for network in self.networks)

    def names(self, host: str) -> bool:
        """Whether the operator listed this host."""
        return host in self.hosts or host.endswith(self.domains)

    def signed(self, url: URL) -> URL:
        """The same: a stranger's host is told nothing that proves a right."""
        return url

    def told(self, status: int) -> str:
        """What to say of an answer that is no image."""
        return f"the host answered {status}"

    def _checked(self, url: URL) -> URL | ImageProblem:
        if url.scheme not in SCHEMES or not url.raw_host:
            return _invalid("the reference must be http://host/… or https://host/…")
        if url.raw_user is not None or url.raw_password is not None:
            return _invalid("the reference carries a user or a password")
        host = url.raw_host.removesuffix(".")
        problem = _odd(host) or self._unwelcome(host, url.port)
        if problem is not None:
            return problem
        return (url if host == url.raw_host else url.with_host(host)).with_fragment(None)

    def _unwelcome(self, host: str, port: int | None) -> ImageProblem | None:
        if port not in self.ports:
            allowed = ", ".join(map(str, sorted(self.ports)))
            return _forbidden(f"port {port} is not among image_ports ({allowed})")
        if not self.names(host) and not self.any_public:
            return _forbidden("the host is not in image_allowed_hosts")
        if _is_address(host):
            return None if self.may_dial(host, port) else _forbidden("the address is not public")
        if not self.names(host) and ("." not in host or host.rpartition(".")[2] in _INNER):
            return _forbidden("the host is a name of an inner network")
        return None


def guard(
    allowed_hosts: str, ports: str, networks: str = "", *, any_public: bool = False
) -> AddressGuard:
    """Make the rules of settings: lists with commas, a host as `name` or `*.name`.

    Raises BadRules.
    """
    named = [name for name in allowed_hosts.split(",") if name]
    try:
        allowed = tuple(ip_network(network) for network in networks.split(",") if network)
    except ValueError as error:
        raise BadRules(f"image_networks: {error}") from error
    numbers = frozenset(map(int, ports.split(",")))
    if not numbers <= _PORTS:
        raise BadRules(f"image_ports: {ports} holds what is no port: they are 1 to 65535")
    return AddressGuard(
        frozenset(_plain(name) for name in named if not name.startswith("*.")),
        tuple("." + _plain(name[2:]) for name in named if name.startswith("*.")),
        any_public,
        numbers,
        allowed,
    )


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet.

    IPv4 in IPv6 is not, in any of its forms but NAT64, where the address within decides.
    """
    address = _reached(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return (
        address in _UNICAST
        and not any(address in network for network in _UNICAST_NOT_PUBLIC)
        and address.packed[8:12] not in _ISATAP
    )


def _parsed(reference: str) -> URL | ImageProblem:
    if len(reference) > REFERENCE_CHARACTERS_MAX:
        return _invalid(f"the reference has more than {REFERENCE_CHARACTERS_MAX} characters")
    # Parsers disagree on what these end or separate.
    if not reference.isprintable() or "\\" in reference:
        return _invalid("the reference holds a backslash, or a character that cannot be printed")
    try:
        return URL(reference)
    except ValueError:
        return _invalid("the reference is no URL")


def _reached(address: Address) -> Address:
    """What is dialled in the end: a NAT64 takes the IPv4 address out of the IPv6 one."""
    if isinstance(address, IPv6Address) and address in _NAT64:
        return IPv4Address(address.packed[12:])
    return address


def _odd(host: str) -> ImageProblem | None:
    if _is_address(host):
        return None
    if _ENDS_IN_A_NUMBER.fullmatch(host):
        return _invalid("the host is a number, and no IP address as it is usually written")
    return None if _NAME.fullmatch(host) else _invalid("the host is no name")


@functools.lru_cache(maxsize=1024)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    """A host as yarl writes it."""
    try:
        host = URL.build(scheme="http", host=name.strip("[]").removesuffix(".")).raw_host
    except ValueError:
        host = None
    if not host or _odd(host):
        raise BadRules(
            f"image_allowed_hosts: {name!r} is no host: write example.com, *.example.com or an IP "
            "address"
        )
    return host


def _invalid(detail: str) -> ImageProblem:
    return ImageProblem(_INVALID, detail)


def _forbidden(detail: str) -> ImageProblem:
    return ImageProblem(_FORBIDDEN, detail)
