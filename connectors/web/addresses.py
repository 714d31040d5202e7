"""Which IP addresses a crawler may dial on a stranger's word: public ones. Pure."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

# `ipaddress.is_global` is the start; these it lets through, and each leads inside somebody's network or host.
_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; cloud metadata of Alibaba
        "168.63.129.16/32",  # Azure's host agent, an address that is public by the registry
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata at .192
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "224.0.0.0/3",  # multicast, reserved and broadcast
    )
)
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(net)
    for net in (
        "::/96",  # unspecified, loopback and IPv4-compatible
        "64:ff9b:1::/48",  # local-use NAT64: the operator's own translation
        "100::/64",
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",  # site-local, deprecated and still routed
        "ff00::/8",
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_IN_LOW_32_BITS = (_NAT64, ipaddress.IPv6Network("::ffff:0:0:0/96"))


def is_public(address: str) -> bool:
    """Say whether ``address`` (as a resolver writes it, a zone allowed) is one that anybody may dial."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if "%" in address:
        return False
    return _public_v4(parsed) if isinstance(parsed, IPv4Address) else _public_v6(parsed)


def _public_v4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in net for net in _SPECIAL_V4)


def _public_v6(address: IPv6Address) -> bool:
    inner = _embedded(address)
    if inner is not None:
        return _public_v4(inner)
    return address in _GLOBAL_UNICAST and address.is_global and not any(address in net for net in _SPECIAL_V6)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a mapped, translated or tunnelled address leads to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in net for net in _IN_LOW_32_BITS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
