"""robots.txt decisions by RFC 9309, through the parser that the crawl uses.

Each case is a fact of the standard (section named) or of how its authors read it; texts are our own.
"""

from __future__ import annotations

import pytest

from connectors.web import robots

THREE_GROUPS = "user-agent: foobot\ndisallow: /a\nuser-agent: other\ndisallow: /b\nuser-agent: foobot\ndisallow: /c"
CASES = [
    # 2.2.1 the user-agent line
    ("user-agent: FooBot\ndisallow: /", "foobot", "/x", False),
    ("user-agent: FooBot\ndisallow: /", "barbot", "/x", True),
    ("User-Agent : FooBot\nDisallow : /", "foobot", "/x", False),
    ("USER-AGENT: FOOBOT\nDISALLOW: /", "foobot", "/x", False),
    ("user-agent: FooBot/1.2\ndisallow: /", "foobot", "/x", False),
    ("user-agent: *\ndisallow: /x\nuser-agent: foobot\nallow: /", "foobot", "/x", True),
    ("user-agent: foobot\nallow: /\nuser-agent: *\ndisallow: /x", "foobot", "/x", True),
    ("user-agent: a\nuser-agent: foobot\ndisallow: /x", "foobot", "/x", False),
    (THREE_GROUPS, "foobot", "/c", False),
    (THREE_GROUPS, "foobot", "/b", True),
    ("user-agent: *\ndisallow: /", "foobot", "/", False),
    ("user-agent: other\ndisallow: /", "foobot", "/", True),
    ("user-agent: foo\ndisallow: /", "foobot", "/x", True),
    # 2.2.2 rules: the longest match decides, allow wins a tie, paths are case-sensitive
    ("user-agent: *\ndisallow: /\nallow: /public", "foobot", "/public/x", True),
    ("user-agent: *\nallow: /p\ndisallow: /", "foobot", "/page", True),
    ("user-agent: *\nallow: /folder\ndisallow: /folder", "foobot", "/folder/page", True),
    ("user-agent: *\nallow: /page\ndisallow: /*.htm", "foobot", "/page.htm", False),
    ("user-agent: *\nallow: /page\ndisallow: /*.ph", "foobot", "/page.php5", True),
    ("user-agent: *\nallow: /$\ndisallow: /", "foobot", "/", True),
    ("user-agent: *\nallow: /$\ndisallow: /", "foobot", "/page.htm", False),
    ("user-agent: *\ndisallow: /X", "foobot", "/x", True),
    ("user-agent: *\ndisallow: /x/y\nallow: /x/y/z", "foobot", "/x/y/z", True),
    ("user-agent: *\ndisallow:", "foobot", "/x", True),
    ("user-agent: *\nallow: /x\ndisallow: /", "foobot", "/x?q", True),
    ("disallow: /", "foobot", "/x", True),
    ("user-agent: *\ndisallow: /fish", "foobot", "/fish.html", False),
    ("user-agent: *\ndisallow: /fish/", "foobot", "/fish", True),
    ("user-agent: *\ndisallow: /fish/", "foobot", "/fish/salmon", False),
    ("user-agent: *\ndisallow: /fish", "foobot", "/Fish.asp", True),
    ("user-agent: *\ndisallow: /fish", "foobot", "/catfish", True),
    # 2.2.2 octets: encoded and plain are the same where they mean the same
    ("user-agent: *\ndisallow: /\nallow: /foo/bar?baz=http://foo.bar", "foobot", "/foo/bar?baz=http://foo.bar", True),
    ("user-agent: *\ndisallow: /foo/bar/ツ", "foobot", "/foo/bar/%E3%83%84", False),
    ("user-agent: *\ndisallow: /foo/bar/%E3%83%84", "foobot", "/foo/bar/%E3%83%84", False),
    ("user-agent: *\ndisallow: /foo/bar/%62%61%7A", "foobot", "/foo/bar/baz", False),
    # 2.2.3 special characters
    ("user-agent: *\ndisallow: *.gif$", "foobot", "/a/b.gif", False),
    ("user-agent: *\ndisallow: /*.gif$", "foobot", "/a/b.gif?x", True),
    ("user-agent: *\ndisallow: /a*b*c", "foobot", "/a1b2c3", False),
    ("user-agent: *\ndisallow: /a*b*c", "foobot", "/a1c2b3", True),
    ("user-agent: *\ndisallow: /x # comment", "foobot", "/x", False),
    ("# all\nuser-agent: * # all\n\n\ndisallow: /x", "foobot", "/x", False),
    # 2.2.4 other records do not end a group
    ("user-agent: foobot\nsitemap: https://e/s.xml\ndisallow: /x", "foobot", "/x", False),
    ("user-agent: a\nsitemap: https://e/s.xml\nuser-agent: foobot\ndisallow: /x", "foobot", "/x", False),
    # 2.2 line ends, byte order mark, broken lines
    ("user-agent: foobot\r\ndisallow: /x\r\n", "foobot", "/x", False),
    ("user-agent: foobot\rdisallow: /x\r", "foobot", "/x", False),
    ("\ufeffuser-agent: foobot\ndisallow: /x", "foobot", "/x", False),
    ("<html>\nuser-agent: foobot\nnonsense\ndisallow: /x", "foobot", "/x", False),
    ("", "foobot", "/x", True),
    # 2.2.2 the file itself is always allowed
    ("user-agent: *\ndisallow: /", "foobot", "/robots.txt", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "agent", "path", "allowed"), CASES)
def test_a_decision_of_the_standard(text, agent, path, allowed):
    said = robots.parse(text.encode(), agent=agent)
    assert (said.refuses(f"https://example.com{path}") == "") is allowed
