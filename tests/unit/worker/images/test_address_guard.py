from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.hostile_addresses import BENIGN_HOSTS, OF_A_BENIGN_HOST, hostile_addresses
from worker.images.address_guard import (
    REFERENCE_CHARACTERS_MAX,
    AddressGuard,
    guard,
    is_public,
)

ANY = guard("", "80,443", any_public=True)
LISTED = guard("images.example,*.cdn.example,图片.cn,8.8.8.8", "80,443,8080")
FORBIDDEN, INVALID = Reason.IMAGE_ADDRESS_FORBIDDEN, Reason.IMAGE_REFERENCE_INVALID

NOT_PUBLIC = (
    *("127.0.0.1", "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "169.254.169.254"),
    *("172.31.0.1", "192.168.0.1", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.31.196.1"),
    *("192.52.193.1", "192.88.99.1", "192.175.48.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::1", "::", "100::1"),
    *("fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "2001:db8::1"),
    *(
        "3fff::1",
        "5f00::1",
        "2620:4f:8000::1",
        "::8.8.8.8",
        "::ffff:8.8.8.8",
        "64:ff9b:1::1",
        "2002:808:808::",
    ),
    *("2001:0:1::1", "2001:20::1", "2a00:1450::5efe:808:808", "2a00:1450::200:5efe:808:808"),
)
PUBLIC = (
    *("8.8.8.8", "1.1.1.1", "93.184.216.34", "168.63.129.15", "2606:4700:4700::1111"),
    *("2a00:1450:4001:81b::200e", "64:ff9b::808:808"),
)


def reason(target: URL | ImageProblem) -> Reason | None:
    """Why there is no target, None when there is one."""
    return target.reason if isinstance(target, ImageProblem) else None


def embedded(address: IPv4Address) -> dict[str, IPv6Address]:
    """Every way to write an IPv4 address into an IPv6 one."""
    number = int(address)
    return {
        "mapped": IPv6Address((0xFFFF << 32) | number),
        "compatible": IPv6Address(number),
        "NAT64": IPv6Address((0x64FF9B << 96) | number),
        "local NAT64": IPv6Address((0x64FF9B0001 << 80) | number),
        "6to4": IPv6Address((0x2002 << 112) | (number << 80)),
        "Teredo": IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
        "ISATAP": IPv6Address((0x2A001450 << 96) | (0x5EFE << 32) | number),
        "ISATAP, universal": IPv6Address((0x2A001450 << 96) | (0x2005EFE << 32) | number),
    }


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_never_dialled(address: str) -> None:
    """Each block of the registries of special addresses, by one of its own."""
    assert (is_public(ip_address(address)), ANY.may_dial(address, 443)) == (False, False)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_dialled(address: str) -> None:
    """Also by IPv6 where that is how a host without IPv4 reaches it."""
    assert (is_public(ip_address(address)), ANY.may_dial(address, 443)) == (True, True)


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_never_more_public_than_itself(address: IPv4Address) -> None:
    """IPv4 in IPv6 in every form: what is dialled in the end decides."""
    public = [form for form, outer in embedded(address).items() if is_public(outer)]
    assert public == (["NAT64"] if is_public(address) else [])


@given(st.ip_addresses(v=4, network="100.64.0.0/10") | st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_the_address_within_decides_wherever_it_is_written(address: IPv4Address) -> None:
    """No embedding of an inner address gets past the URL, nor past the dialling."""
    for outer in embedded(address).values():
        assert reason(ANY.target(f"http://[{outer}]/a.jpg")) == FORBIDDEN
        assert not ANY.may_dial(str(outer), 80)


@given(st.ip_addresses(v=6))
def test_beyond_unicast_nothing_is_public(address: IPv6Address) -> None:
    """A block that is given out tomorrow for some special use is refused today."""
    if is_public(address) and address.packed[:12] != b"\x00\x64\xff\x9b" + bytes(8):
        assert address.packed[0] >> 5 == 1


def test_all_hostile_addresses_are_refused_and_the_benign_ones_are_not() -> None:
    """With the benign hosts listed: 5 of 596 pass, and 2 that name a benign one."""
    rules = guard(BENIGN_HOSTS, "80,443")
    rows = hostile_addresses()
    wrong = [row.url for row in rows if isinstance(rules.target(row.url), URL) != row.allowed]
    assert wrong == list(OF_A_BENIGN_HOST)
    assert (len(rows), sum(row.allowed for row in rows)) == (596, 5)


def test_without_a_list_a_hostile_address_gets_no_further_than_to_its_name() -> None:
    """With any public host allowed, what passes is a name, whose addresses the dialling judges."""
    passed = [(row, ANY.target(row.url)) for row in hostile_addresses()]
    numbers = [
        row.url
        for row, target in passed
        if isinstance(target, URL)
        and not row.allowed
        and str(target.host_subcomponent)[-1] in "0123456789]"
    ]
    assert numbers == []
    assert sum(isinstance(target, URL) and row.allowed for row, target in passed) == 5


@pytest.mark.parametrize(
    ("reference", "dialled"),
    [
        ("http://images.example/a.jpg", "http://images.example/a.jpg"),
        ("HTTPS://IMAGES.Example/A.jpg", "https://images.example/A.jpg"),
        ("http://images.example./a.jpg", "http://images.example/a.jpg"),
        ("http://images.example:8080/a.jpg#top", "http://images.example:8080/a.jpg"),
        ("http://a.b.cdn.example/?x=1", "http://a.b.cdn.example/?x=1"),
        ("http://图片.cn/图.jpg", "http://xn--wcsw84d.cn/%E5%9B%BE.jpg"),
        ("http://８.８.8。8/a.jpg", "http://8.8.8.8/a.jpg"),
        ("http://8.8.8.8./a.jpg", "http://8.8.8.8/a.jpg"),
    ],
)
def test_an_odd_writing_of_a_listed_host_is_made_plain(reference: str, dialled: str) -> None:
    """By the parser of the client, before anything is compared."""
    assert str(LISTED.target(reference)) == dialled


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("http://user@images.example/", INVALID),
        ("http://:secret@images.example/", INVALID),
        ("http://images.example\\@8.8.8.8/", INVALID),
        ("http://images.example/\\a", INVALID),
        ("http://images.example/a b", INVALID),
        ("http://images.example/\na", INVALID),
        (" http://images.example/", INVALID),
        ("http://images.example:x/", INVALID),
        ("http:images.example/", INVALID),
        ("http:///a.jpg", INVALID),
        ("ftp://images.example/", INVALID),
        ("http://8.8.2056/", INVALID),
        ("http://134744072/", INVALID),
        ("http://0x8080808/", INVALID),
        ("http://010.010.010.010/", INVALID),
        ("http://%38.8.8.8/", INVALID),
        ("http://images..example/", INVALID),
        ("http://-.cdn.example/", INVALID),
        ("http://images.example/" + "a" * REFERENCE_CHARACTERS_MAX, INVALID),
        ("http://images.example:22/", FORBIDDEN),
        ("http://images.example:0/", FORBIDDEN),
        ("http://cdn.example/", FORBIDDEN),
        ("http://notcdn.example/", FORBIDDEN),
        ("http://1.1.1.1/", FORBIDDEN),
    ],
)
def test_what_is_odd_or_not_listed_is_refused(reference: str, expected: Reason) -> None:
    """With a reason of its own for each of the two."""
    assert reason(LISTED.target(reference)) == expected


@pytest.mark.parametrize("host", ["localhost", "kafka", "a.localhost", "x.internal", "nas.local"])
def test_a_name_of_an_inner_network_is_refused_unasked(host: str) -> None:
    """Unless the operator listed it: to ask for it would already tell something."""
    assert reason(ANY.target(f"http://{host}/a.jpg")) == FORBIDDEN
    assert reason(guard(host, "80").target(f"http://{host}/a.jpg")) is None


def test_without_any_host_allowed_nothing_is() -> None:
    """An empty list means none, not all."""
    assert reason(guard("", "80,443").target("http://images.example/a.jpg")) == FORBIDDEN


def test_a_detail_says_which_setting_would_allow_it() -> None:
    """And repeats nothing of the reference."""
    host, port = LISTED.target("http://secret.example/"), LISTED.target("http://images.example:22/")
    assert isinstance(host, ImageProblem)
    assert isinstance(port, ImageProblem)
    assert ("image_allowed_hosts" in host.detail, "image_ports" in port.detail) == (True, True)
    assert "secret" not in host.detail


@pytest.mark.parametrize(
    ("asked", "location", "expected"),
    [
        ("http://images.example/a", "/b", "http://images.example/b"),
        ("http://images.example/a", "b c.jpg", "http://images.example/b%20c.jpg"),
        ("http://images.example/a", "//a.cdn.example/b", "http://a.cdn.example/b"),
        ("http://images.example/a", "https://images.example/b", "https://images.example/b"),
        ("https://images.example/a", "/b", "https://images.example/b"),
        ("https://images.example/a", "http://images.example/b", FORBIDDEN),
        ("http://images.example/a", "http://169.254.169.254/", FORBIDDEN),
        ("http://images.example/a", "//127.0.0.1/", FORBIDDEN),
        ("http://images.example/a", "http://0x7f.1/", INVALID),
        ("http://images.example/a", "http://u:p@images.example/", INVALID),
        ("http://images.example/a", "file:///etc/passwd", INVALID),
        ("http://images.example/a", "gopher://images.example/", INVALID),
        ("http://images.example/a", "//images.example\\@127.0.0.1/", INVALID),
        ("http://images.example/a", "/\udcff", INVALID),
        ("http://images.example/a", "/" + "a" * REFERENCE_CHARACTERS_MAX, INVALID),
    ],
)
def test_a_redirect_is_held_to_the_same_rules(
    asked: str, location: str, expected: str | Reason
) -> None:
    """It is one more reference that a stranger wrote, and never leaves https for http."""
    target = LISTED.redirected(URL(asked), location)
    assert (reason(target) or str(target)) == expected


@pytest.mark.parametrize(
    ("address", "port", "dialled"),
    [
        ("10.20.1.1", 80, True),
        ("::ffff:10.20.1.1", 80, False),
        ("64:ff9b::a14:101", 80, True),
        ("10.21.1.1", 80, False),
        ("10.20.1.1", 22, False),
        ("8.8.8.8", 80, True),
        ("fe80::1", 80, True),
        ("fe80::1%eth0", 80, False),
        ("169.254.1.1", 80, True),
        ("169.254.169.254", 80, False),
        ("::ffff:169.254.169.254", 80, False),
        ("64:ff9b::a9fe:a9fe", 80, False),
        ("images.example", 80, False),
    ],
)
def test_a_network_of_the_operators_own_may_be_dialled(
    address: str, port: int, dialled: bool
) -> None:
    """But for the addresses where clouds hand out credentials, and for zones."""
    rules = guard("images.example", "80,443", "10.20.0.0/16,fe80::/10,169.254.0.0/16")
    assert rules.may_dial(address, port) == dialled


@pytest.mark.parametrize("host", ["http://a", "a/b", "a:80", "0x7f.1", "a..b", "*", "*."])
def test_a_list_with_what_is_no_host_is_refused(host: str) -> None:
    """A typing error must not open or close more than was meant."""
    with pytest.raises(ValueError, match=r"is no host: write"):
        guard(host, "80,443")


def test_the_rules_are_made_of_lists_with_commas() -> None:
    """As the settings hold them."""
    assert guard("a.example,*.b.example,[2606::1]", "80", "10.0.0.0/8") == AddressGuard(
        frozenset({"a.example", "2606::1"}),
        (".b.example",),
        any_public=False,
        ports=frozenset({80}),
        networks=(guard("", "80", "10.0.0.0/8").networks[0],),
    )
