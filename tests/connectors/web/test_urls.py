from __future__ import annotations

import contextlib

import ada_url
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import UsageError
from connectors.web import urls
from connectors.web.urls import Choice, Scope, normalise, redact

BASE = "https://docs.example.com/a/b/page.html?x=/1"


@pytest.mark.parametrize(
    ("given_", "form"),
    [
        ("HTTP://Example.COM:80/a/../b#c", "http://example.com/b"),
        ("https://example.com:443", "https://example.com/"),
        ("https://user:pw@example.com/x", "https://example.com/x"),
        ("http://example.com/?utm_source=x&id=1&UTM_Medium=y", "http://example.com/?id=1"),
        ("http://example.com/?utm_source=x", "http://example.com/"),
        ("http://example.com/?utm=x", "http://example.com/?utm=x"),
        ("http://example.com/a;jsessionid=0A1B?x=1", "http://example.com/a?x=1"),
        ("http://example.com/?a@b", "http://example.com/?a@b"),
        ("http://münchen.example/ä b", "http://xn--mnchen-3ya.example/%C3%A4%20b"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("mailto:a@b", ""),
        ("javascript:alert(1)", ""),
        ("http://", ""),
        ("http://exa mple.com/", ""),
        ("not a url", ""),
        ("", ""),
        ("http://\ud800/", ""),
    ],
)
def test_a_url_has_one_normal_form(given_, form):
    assert normalise(given_) == form


@given(st.text(alphabet="ab./-_~?#%&=;:@ \t\n\\[]1\u00e9", max_size=30))
def test_relative_urls_are_what_the_standards_parser_says(text):
    try:
        expected = ada_url.join_url(BASE, text)
    except ValueError:
        expected = ""
    if not expected.startswith("http"):
        assert normalise(text, BASE) == ""
    elif "@" not in expected and "jsessionid" not in expected:
        assert normalise(text, BASE) == expected.partition("#")[0]


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text):
    once = normalise(text, BASE)
    assert normalise(once) == once
    assert not once or (once.startswith(("http://", "https://")) and "#" not in once)


@given(st.text(max_size=80))
def test_redacting_never_fails_and_shows_no_userinfo(text):
    assert "hunter2" not in redact(f"http://user:hunter2@example.com/{text}".replace("\\", ""))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@example.com/a?b=1", "https://example.com/a?b=1"),
        ("https://example.com/?token=abc&x=1&api_key=z", "https://example.com/?token=***&x=1&api_key=***"),
        ("https://example.com/?X-Amz-Signature=abc", "https://example.com/?X-Amz-Signature=***"),
        ("https://example.com/?%74oken=abc", "https://example.com/?%74oken=***"),
        ("https://example.com/?monkey=1&keyword=2", "https://example.com/?monkey=1&keyword=2"),
    ],
)
def test_secrets_in_urls_are_not_shown(url, shown):
    assert redact(url) == shown


@pytest.mark.parametrize(
    ("glob", "url", "matches"),
    [
        ("/docs/**", "http://h/docs/a/b.html", True),
        ("/docs/*", "http://h/docs/a/b.html", True),
        ("/docs/**", "http://h/doc", False),
        ("/docs/**/x", "http://h/docs/x", True),
        ("/docs/**/x", "http://h/docs/a/b/x", True),
        ("*.pdf", "http://h/a/b.pdf", True),
        ("*.pdf", "http://h/a/b.pdf?x=1", True),
        ("docs/*", "http://h/docs/a", True),
        ("http://h/docs/*", "http://h/docs/a", True),
        ("/a?c", "http://h/abc", True),
        ("/a[bc]d", "http://h/acd", True),
        ("/a[!b]d", "http://h/abd", False),
        ("/search?q=*", "http://h/search?q=x", True),
        ("/a.html", "http://h/axhtml", False),
        ("/A", "http://h/a", False),
    ],
)
def test_globs_match_the_path_or_the_whole_url(glob, url, matches):
    assert Choice(exclude=[glob]).refusal_of(url) == ("excluded" if matches else "")
    assert Choice(include=[glob]).refusal_of(url) == ("" if matches else "not-included")


@pytest.mark.parametrize("glob", ["", "  ", "/a[b", "[", "/[z-a]"])
def test_a_wrong_glob_is_a_usage_error(glob):
    with pytest.raises(UsageError, match=r"glob"):
        Choice([glob])


@given(st.text(max_size=20), st.text(max_size=30))
def test_a_glob_is_compiled_or_refused_and_never_crashes(glob, path):
    with contextlib.suppress(UsageError):
        Choice([glob]).refusal_of(f"http://h/{path}")


def test_a_scope_is_a_folder_a_host_or_a_domain():
    path = Scope("http://docs.example.co.uk/guide/intro.html")
    assert path.contains("http://docs.example.co.uk/guide/x/y")
    assert not path.contains("http://docs.example.co.uk/guide2")
    assert not path.contains("https://docs.example.co.uk/guide/x")
    host = Scope("http://docs.example.co.uk/guide/intro.html", "host")
    assert host.contains("https://docs.example.co.uk/")
    assert not host.contains("http://example.co.uk/")
    domain = Scope("http://docs.example.co.uk/guide/intro.html", "domain")
    assert domain.contains("https://www.example.co.uk/")
    assert domain.contains("https://example.co.uk/")
    assert not domain.contains("https://other.co.uk/")
    assert not domain.contains("https://notexample.co.uk/")


def test_customers_of_a_hosting_company_are_strangers():
    assert not Scope("https://one.github.io/", "domain").contains("https://two.github.io/")


def test_an_internal_suffix_counts_as_one_label_and_a_public_one_is_nobodys_domain():
    assert Scope("http://docs.acme.internal/", "domain").contains("http://www.acme.internal/")
    assert not Scope("http://docs.acme.internal/", "domain").contains("http://www.other.internal/")
    assert urls.registrable_domain("co.uk") == "co.uk"
    assert urls.registrable_domain("10.0.0.1") == "10.0.0.1"
    assert urls.registrable_domain("[::1]") == "[::1]"
    assert urls.registrable_domain("localhost") == "localhost"


def test_addresses_and_single_names_are_domains_of_their_own():
    assert Scope("http://127.0.0.1:8000/", "domain").contains("http://127.0.0.1:9000/")
    assert not Scope("http://127.0.0.1/", "domain").contains("http://126.0.0.1/")
    assert Scope("http://localhost/", "domain").contains("http://localhost/x")


def test_a_refusal_names_its_rule():
    scope = Scope("http://h/", include=("/docs/**",), exclude=("/docs/old/**",))
    assert scope.refusal("http://other/") == "out-of-scope"
    assert scope.refusal("http://h/docs/old/x") == "excluded"
    assert scope.refusal("http://h/blog/x") == "not-included"
    assert scope.refusal("http://h/docs/x") == ""


def test_the_parts_of_a_url():
    url = "http://[::1]:8080/a/b.html?c=/d"
    assert urls.origin(url) == "http://[::1]:8080"
    assert urls.host_of(url) == "[::1]"
    assert urls.host_of("http://[::1]/") == "[::1]"
    assert urls.path_of(url) == "/a/b.html"
    assert urls.target_of(url) == "/a/b.html?c=/d"
    assert urls.folder_of(url) == "/a/"
