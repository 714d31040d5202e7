"""Ways to write an address that leads inside: facts about notations, gathered from standards and known bypasses."""

from __future__ import annotations

import ipaddress

# ruff: noqa: RUF001 - that some characters look alike is the point

SITE = "site.test"
"""The name of a site whose other names all lead inside: a crawl with the scope ``domain`` asks for each of them."""


def _words(text: str) -> list[str]:
    return text.split()


INSIDE_V4 = _words(
    """
    127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1
    172.31.255.254 192.168.0.1 192.168.255.254 169.254.169.254 169.254.0.1 100.64.0.1 100.100.100.200
    192.0.0.192 192.0.0.1 192.0.2.1 168.63.129.16 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
    192.88.99.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    """
)

INSIDE_V6 = _words(
    """
    ::1 :: fe80::1 fec0::1 feff::1 fc00::1 fd00:ec2::254 ff02::1 ::127.0.0.1 ::10.0.0.1
    64:ff9b:1::7f00:1 100::1 2001::1 2001:db8::1 2001:10::1 2001:20::1 2001:2::1 3fff::1 5f00::1 4000::1
    0:0:0:0:0:0:0:1 0000::0001
    """
)

ODD = _words(
    """
    localhost LOCALHOST localhost. a.localhost inside.test INSIDE.test. mixed.test six.test
    %31%32%37.0.0.1 127%2e0%2e0%2e1 １２７．０．０．１ 127。0。0。1 ①②⑦.⓪.⓪.① ⑯⑨。②⑤④。⑯⑨｡②⑤④ 127.0.0.1. 0177.0.0.01
    0x7f.0x0.0x0.0x1 00000177.00.00.01 0x7F000001 127.0.1 127.1 0 0x0 00 017700000001 0x000000007f000001
    ⓛocalhost ｌｏｃａｌｈｏｓｔ user@127.0.0.1 user:pass@127.0.0.1 example.com@127.0.0.1
    example.com:80@127.0.0.1 [::ffff:127.0.0.1] [0:0:0:0:0:ffff:127.0.0.1] [::ffff:7f00:1]
    [0000:0000:0000:0000:0000:ffff:7f00:0001] [::FFFF:169.254.169.254]
    """
)


def notations(address: str) -> list[str]:
    """Return hosts that some parser reads as this IPv4 address."""
    number = int(ipaddress.IPv4Address(address))
    a, b, c, d = (int(part) for part in address.split("."))
    high, low = number >> 16, number & 0xFFFF
    return [
        address,
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a}.{b}.{low}",
        f"{a}.{number & 0xFFFFFF}",
        ".".join(hex(part) for part in (a, b, c, d)),
        ".".join(f"0{part:o}" for part in (a, b, c, d)),
        f"[::ffff:{address}]",
        f"[::ffff:0:{address}]",
        f"[64:ff9b::{high:x}:{low:x}]",
        f"[2002:{high:x}:{low:x}::]",
        f"[2002:{high:x}:{low:x}::1]",
    ]


def hosts() -> list[str]:
    """Return every host, each once."""
    v4 = [host for address in INSIDE_V4 for host in notations(address)]
    return list(dict.fromkeys([*v4, *(f"[{address}]" for address in INSIDE_V6), *ODD]))


def forms(port: int) -> list[str]:
    """Return URLs with each host on ``port``, and some that try to confuse where the host is."""
    tricks = [
        f"http:\\\\127.0.0.1:{port}\\x",
        f"http:/127.0.0.1:{port}/",
        f"http:127.0.0.1:{port}/",
        f"http:///127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}\\@example.com/",
        f"http://example.com\\@127.0.0.1:{port}/",
        f"ht\ttp://127.0.\n0.1:{port}/",
        f" http://127.0.0.1:{port}/ ",
        f"http://127.0.0.1:{port}#@example.com/",
        f"http://127.0.0.1:0{port}/",
        f"//127.0.0.1:{port}/",
        f"HTTP://127.0.0.1:{port}/",
        f"https://127.0.0.1:{port}/",
        "file:///etc/passwd",
        f"ftp://127.0.0.1:{port}/",
        f"gopher://127.0.0.1:{port}/_x",
        f"ws://127.0.0.1:{port}/",
        "data:text/html,x",
        "javascript:1",
        "unix:/var/run/docker.sock",
        f"dict://127.0.0.1:{port}/",
        f"jar:http://127.0.0.1:{port}/!/",
        f"view-source:http://127.0.0.1:{port}/",
        f"blob:http://127.0.0.1:{port}/",
        f"http+unix://127.0.0.1:{port}/",
    ]
    return [f"http://{host}:{port}/canary" for host in hosts()] + tricks


def names(domain: str) -> dict[str, list[str]]:
    """Return names of one site that resolve inside, each in another form; some have a public address beside it."""
    addresses = [host.strip("[]") for host in hosts() if _is_address(host.strip("[]"))]
    made = {f"n{number}.{domain}": [address] for number, address in enumerate(addresses)}
    made |= {f"m{number}.{domain}": ["93.184.216.34", address] for number, address in enumerate(INSIDE_V4)}
    return made | {f"z{number}.{domain}": [f"{address}%1"] for number, address in enumerate(("fe80::1", "::1"))}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def named(port: int, path: str = "/canary") -> list[str]:
    """Return a URL in scope for each of `names`."""
    return [f"http://{name}:{port}{path}" for name in names(SITE)]
