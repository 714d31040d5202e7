"""URLs by the WHATWG standard, as they leave us: what the server is asked for, through the real fetch path.

A moderate number of facts in the manner of the web platform tests (`url/resources/urltestdata.json`), written down
here; with that file's path in ``WPT_URLS`` all of its http(s) cases are checked as well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from loopback import Reply, Site

from connectors.web import urls
from connectors.web.fetcher import Fetcher

# ruff: noqa: RUF001 - that some characters look alike is the point
BASE = "http://example.org/foo/bar"
FACTS = [
    ("http://example\t.\norg", "http://example.org/"),
    ("http://user:pass@foo:21/bar;par?b#c", "http://foo:21/bar;par?b"),
    ("https:foo.com", "https://foo.com/"),
    ("http:foo.com", "http://example.org/foo/foo.com"),
    ("\t   :foo.com   \n", "http://example.org/foo/:foo.com"),
    (" foo.com  ", "http://example.org/foo/foo.com"),
    ("http://f:0/c", "http://f:0/c"),
    ("http://f:00000000000000/c", "http://f:0/c"),
    ("http://f:00000000000000000000080/c", "http://f/c"),
    ("http://f:b/c", ""),
    ("http://f: /c", ""),
    ("http://f:\n/c", "http://f/c"),
    ("http://f:65536/c", ""),
    ("http://f: 21 / b ? d # e ", ""),
    ("", "http://example.org/foo/bar"),
    ("  \t", "http://example.org/foo/bar"),
    (":foo.com/", "http://example.org/foo/:foo.com/"),
    (":a", "http://example.org/foo/:a"),
    ("\\x", "http://example.org/x"),
    ("#;?", "http://example.org/foo/bar"),
    ("?", "http://example.org/foo/bar?"),
    ("/", "http://example.org/"),
    (":23", "http://example.org/foo/:23"),
    ("::", "http://example.org/foo/::"),
    ("http://", ""),
    ("http://[1::2]:3:4", ""),
    ("http://2001::1", ""),
    ("http://[::127.0.0.1]", "http://[::7f00:1]/"),
    ("http://[0:0:0:0:0:0:13.1.68.3]", "http://[::d01:4403]/"),
    ("http://[2001::1]:80", "http://[2001::1]/"),
    ("http://example.com/././foo", "http://example.com/foo"),
    ("http://example.com/./.foo", "http://example.com/.foo"),
    ("http://example.com/foo/bar/..", "http://example.com/foo/"),
    ("http://example.com/foo/bar/../../../ton", "http://example.com/ton"),
    ("http://example.com/foo/%2e", "http://example.com/foo/"),
    ("http://example.com/foo/%2e%2", "http://example.com/foo/%2e%2"),
    ("http://example.com/foo/%2e./%2e%2e/.%2e/%2e.bar", "http://example.com/%2e.bar"),
    ("http://example.com////../..", "http://example.com//"),
    ("http://example.com/foo\t%91", "http://example.com/foo%91"),
    ("http://example.com/foo%2Ehtml", "http://example.com/foo%2Ehtml"),
    ("http://example.com/foo%41%7a", "http://example.com/foo%41%7a"),
    ("http://example.com/(%28:%3A%29)", "http://example.com/(%28:%3A%29)"),
    ("http://example.com/foo\\\\bar", "http://example.com/foo//bar"),
    ("http://example.com/你好你好", "http://example.com/%E4%BD%A0%E5%A5%BD%E4%BD%A0%E5%A5%BD"),
    ("http://www/foo%2Ehtml", "http://www/foo%2Ehtml"),
    ("http://example.com/~%7Efoo|'", "http://example.com/~%7Efoo|'"),
    ("http://%25", ""),
    ("http://a%b", ""),
    ("http://GOO\u200b\u2060\ufeffgoo.com", "http://googoo.com/"),
    ("http://ＧＯ.com", "http://go.com/"),
    ("http://%ef%bc%85%ef%bc%94%ef%bc%91.com", ""),
    ("http://你好你好", "http://xn--6qqa088eba/"),
    ("http://faß.ExAmPlE/", "http://xn--fa-hia.example/"),
    ("http://192.0x00A80001", "http://192.168.0.1/"),
    ("http://0Xc0.0250.01", "http://192.168.0.1/"),
    ("http://256.256.256.256", ""),
    ("http://1.2.3.4.5", ""),
    ("http://4294967296", ""),
    ("http://foo.0x", ""),
    ("http://1.2.3.08", ""),
    ("http://./", "http://./"),
    ("http://0999999999999999999/", ""),
    ("http://[google.com]", ""),
    ("http://[::1.2.3.4x]", ""),
    ("http://[::%eth0]", ""),
    ("http://ho%20st/", ""),
    ("http://ho st/", ""),
    ("http://a<b", ""),
    ("http://a^b", ""),
    ("http://!\"$&'()*+,-.;=_`{}~/", "http://!\"$&'()*+,-.;=_`{}~/"),
    ("http://foo.com/\ud800", ""),
    ("//foo/bar", "http://foo/bar"),
    ("///x:80", "http://x/"),
    ("http:///foo", "http://foo/"),
    ("http:\\\\x:1\\y", "http://x:1/y"),
    ("https://x/?q='\"<> #", "https://x/?q=%27%22%3C%3E%20"),
    ("http://x/a b?c d", "http://x/a%20b?c%20d"),
    ("http://x/?a|b`{}", "http://x/?a|b`{}"),
    ("http://x/\u0000y", "http://x/%00y"),
    ("file:///C:/x", ""),
    ("ftp://x/", ""),
    ("data:text/plain,x", ""),
    ("about:blank", ""),
    ("mailto:x@y", ""),
    ("blob:https://x/y", ""),
    ("javascript:alert(1)", ""),
]


@pytest.mark.parametrize(("written", "form"), FACTS)
def test_a_fact_of_the_url_standard(written, form):
    assert urls.normalise(written, BASE) == form


async def test_what_is_asked_for_is_what_the_standard_writes():
    site = await Site(fallback=lambda _: Reply("x")).start()
    fetcher = Fetcher(user_agent="persona-ingest/0", allowed=(site.url,))
    for _, form in FACTS:
        if form:
            target = urls.target_of(form)
            await fetcher.fetch(site.url + target)
            assert site.asked[-1].target == target
            assert site.asked[-1].headers["host"] == f"127.0.0.1:{site.port}"
    await fetcher.aclose()
    await site.stop()


def test_the_web_platform_tests_agree():
    where = os.environ.get("WPT_URLS", "")
    if not where or not Path(where).is_file():
        pytest.skip("WPT_URLS names no urltestdata.json: the facts above stand alone")
    wrong = []
    for case in json.loads(Path(where).read_text(encoding="utf-8")):
        if isinstance(case, str) or not (case.get("failure") or case["href"].startswith(("http://", "https://"))):
            continue
        got = urls.normalise(case["input"], case.get("base") or "", keep_tracking=True)
        wanted = ""
        if not case.get("failure"):
            credentials = case["username"] + (":" + case["password"] if case["password"] else "")
            wanted = case["href"].partition("#")[0].replace(f"{credentials}@" if credentials else "\0", "", 1)
        if got != wanted:
            wrong.append((case["input"], case.get("base"), got, wanted))
    assert wrong == []
