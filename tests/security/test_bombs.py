"""Answers that are small on the wire and huge in memory: ended at the cap, with the peak measured in a child."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard
from loopback import Reply

from connectors.models import Resource, Skipped
from connectors.web import sitemaps
from connectors.web.fetcher import Fetcher, Limits

MB = 1024 * 1024
ZEROS = bytes(MB)


def gz(*pieces: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(piece) for piece in pieces) + packer.flush()


def br(*pieces: bytes) -> bytes:
    packer = brotli.Compressor(quality=5)
    return b"".join(packer.process(piece) for piece in pieces) + packer.finish()


def zst(*pieces: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    return b"".join(packer.compress(piece) for piece in pieces) + packer.flush()


def deflate(*pieces: bytes) -> bytes:
    return zlib.compress(b"".join(pieces), 9)


ROOM = (ZEROS,) * 100
BOMBS = {
    "gzip": lambda: gz(*ROOM),
    "br": lambda: br(*ROOM),
    "zstd": lambda: zst(*ROOM),
    "deflate": lambda: deflate(*ROOM),
    "gzip, gzip": lambda: gz(gz(*ROOM)),
    "br, gzip": lambda: gz(br(*ROOM)),
    "zstd, br": lambda: br(zst(*ROOM)),
    "gzip, zstd": lambda: zst(gz(*ROOM)),
}


@functools.cache
def bomb(coding: str) -> bytes:
    return BOMBS[coding]()


@pytest.fixture
async def fetcher(site):
    made = Fetcher(user_agent="persona-ingest/0", allowed=(site.url,), limits=Limits(attempts=1))
    yield made
    await made.aclose()


@pytest.mark.parametrize("coding", BOMBS)
async def test_a_bomb_ends_at_the_cap_with_its_rule(site, fetcher, coding):
    site.routes["/bomb"] = Reply(bomb(coding), headers=[("Content-Encoding", coding)])
    got = await fetcher.fetch(f"{site.url}/bomb")
    assert isinstance(got, Skipped)
    assert got.rule in {"decompression-bomb", "too-large"}


CHILD = """
import asyncio, json, re, sys
from connectors.web.fetcher import Fetcher, Limits
def peak():  # of this image alone: getrusage remembers the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
async def main():
    fetcher = Fetcher(user_agent="x/1", allowed=(sys.argv[1],), limits=Limits(attempts=1))
    await fetcher.fetch(sys.argv[1] + "/plain")
    before = peak()
    rules = [getattr(await fetcher.fetch(f"{sys.argv[1]}/bomb{n}"), "rule", "fetched") for n in range(int(sys.argv[2]))]
    after = peak()
    print(json.dumps({"rules": rules, "grown_mb": (after - before) / 1024}))
    await fetcher.aclose()
asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured through /proc")
async def test_no_bomb_costs_more_memory_than_the_cap_allows(site):
    import asyncio

    site.page("/plain")
    for number, coding in enumerate(BOMBS):
        site.routes[f"/bomb{number}"] = Reply(bomb(coding), headers=[("Content-Encoding", coding)])
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CHILD, site.url, str(len(BOMBS))],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    said = json.loads(child.stdout)
    assert "fetched" not in said["rules"]
    # 32 MB is the cap of a body, held in pieces; the libraries' windows are 16 MB at most.
    assert said["grown_mb"] < 80, said


async def test_a_zstd_frame_that_wants_a_huge_window_is_refused(site, fetcher):
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=False)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=-1).compress(b"x")
    frame = zstandard.ZstdCompressor(compression_params=parameters).compress(b"x" * 300_000_000)[:100_000] or frame
    site.routes["/wide"] = Reply(frame, headers=[("Content-Encoding", "zstd")])
    got = await fetcher.fetch(f"{site.url}/wide")
    assert isinstance(got, Skipped)
    assert got.rule in {"bad-encoding", "decompression-bomb", "too-large"}


async def test_three_layers_are_refused_unread(site, fetcher):
    site.routes["/deep"] = Reply(gz(gz(gz(b"x"))), headers=[("Content-Encoding", "gzip, gzip, gzip")])
    got = await fetcher.fetch(f"{site.url}/deep")
    assert got.rule == "bad-encoding"


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gz),
        ("x-gzip", gz),
        ("br", br),
        ("zstd", zst),
        ("deflate", deflate),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("gzip, br", lambda data: br(gz(data))),
        ("identity", lambda data: data),
        ("GZIP", gz),
        ("gzip", lambda data: gz(data[:1000]) + gz(data[1000:])),
    ],
)
async def test_an_honest_body_arrives_whole_in_every_coding(site, fetcher, coding, pack):
    text = ("A page with some text, ünïcode and numbers. " * 5000).encode()
    site.routes["/page"] = Reply(pack(text), headers=[("Content-Encoding", coding)])
    got = await fetcher.fetch(f"{site.url}/page")
    assert isinstance(got, Resource), got
    assert got.body == text


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gz), ("br", br), ("zstd", zst)])
async def test_a_body_cut_short_is_no_page(site, fetcher, coding, pack):
    whole = pack(bytes(range(256)) * 4000)
    site.routes["/cut"] = Reply(whole[: len(whole) // 2], headers=[("Content-Encoding", coding)])
    assert (await fetcher.fetch(f"{site.url}/cut")).rule == "bad-encoding"


async def test_an_endless_body_ends_at_the_cap(site, fetcher):
    async def endless():
        while True:
            yield b"x" * 65536

    site.routes["/endless"] = Reply(chunks=endless)
    assert (await fetcher.fetch(f"{site.url}/endless", max_bytes=MB)).rule == "too-large"


async def test_a_body_that_drips_ends_at_the_deadline(site):
    import asyncio

    async def drip():
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    site.routes["/drip"] = Reply(chunks=drip)
    fetcher = Fetcher(
        user_agent="x/1", allowed=(site.url,), limits=Limits(attempts=1, whole_s=30, rate_after_s=0.3, min_rate=512)
    )
    assert (await fetcher.fetch(f"{site.url}/drip")).rule == "timeout"
    await fetcher.aclose()
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,), limits=Limits(attempts=1, whole_s=0.5))
    assert (await fetcher.fetch(f"{site.url}/drip")).rule == "timeout"
    await fetcher.aclose()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx",
        b"\x16\x03\x01 not http at all",
        b"HTTP/1.1 200 OK\r\nX\x1b[31m\x00: y\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    ],
)
async def test_an_answer_that_is_no_http_is_an_item_and_no_crash(site, fetcher, raw):
    site.routes["/odd"] = Reply(raw=raw)
    got = await fetcher.fetch(f"{site.url}/odd")
    assert isinstance(got, Skipped)
    assert got.rule == "broken-answer"
    assert got.detail.isprintable(), "what a server sends does not reach a log as it is"
    assert len(got.detail) < 300


XML_BOMBS = {
    "entities": b"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'>"
    + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><urlset><url><loc>http://x.test/&j;</loc></url></urlset>",
    "quadratic": b"<!DOCTYPE l [<!ENTITY a '"
    + b"a" * 50_000
    + b"'>]><urlset><url><loc>"
    + b"&a;" * 50_000
    + b"</loc></url></urlset>",
    "external": b"<!DOCTYPE l [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><urlset><url><loc>http://x.test/&a;</loc></url></urlset>",
    "parameter": b"<!DOCTYPE l SYSTEM 'http://127.0.0.1:1/x.dtd'><urlset><url><loc>http://x.test/</loc></url></urlset>",
    "utf-16": "<!DOCTYPE l [<!ENTITY a 'aaaa'>]><urlset><url><loc>http://x.test/&a;</loc></url></urlset>".encode(
        "utf-16"
    ),
    "deep": b"<urlset>" + b"<a>" * 200_000,
}


@pytest.mark.parametrize("name", XML_BOMBS)
def test_a_hostile_sitemap_gives_nothing_and_says_why(name, dials):
    read = sitemaps.parse(XML_BOMBS[name], base="http://x.test/sitemap.xml")
    assert read.problem
    assert not any("root:" in entry.uri or "aaaa" in entry.uri for entry in read.pages)
    assert dials == []


def test_a_gzip_bomb_of_a_sitemap_ends_at_the_cap():
    read = sitemaps.parse(gz(*ROOM), base="http://x.test/sitemap.xml.gz")
    assert read.problem
    assert read.pages == ()
